"""Why a page, a link or a row of a file was left out: the vocabulary of the reject list."""

from enum import StrEnum


class Reason(StrEnum):
    """One word a reason; the report counts by it and the reject list names it."""

    # pages
    DUPLICATE_PAGE = "duplicate_page"
    EMPTY_PAGE = "empty_page"
    NO_PAGE_ID = "no_page_id"
    NOT_ARTICLE = "not_article"
    NOT_WIKITEXT = "not_wikitext"
    PAGE_DAMAGED = "page_damaged"
    PAGE_TOO_LONG = "page_too_long"
    # titles and link targets
    EMPTY_TARGET = "empty_target"
    INTERWIKI = "interwiki"
    INVALID_TITLE = "invalid_title"
    OTHER_NAMESPACE = "other_namespace"
    SELF_SECTION = "self_section"
    TEMPLATE_IN_TARGET = "template_in_target"
    # labels
    EMPTY_LABEL = "empty_label"
    LABEL_TOO_LONG = "label_too_long"
    NESTED_LINK = "nested_link"
    TEMPLATE_IN_LABEL = "template_in_label"
    TOO_DEEP = "too_deep"
    # resolution
    REDIRECT_LOOP = "redirect_loop"
    REDIRECT_TARGET_MISSING = "redirect_target_missing"
    TARGET_DISAMBIGUATION = "target_disambiguation"
    TARGET_MISSING = "target_missing"
    # rows of further files
    INVALID_COUNT = "invalid_count"
    INVALID_QID = "invalid_qid"
    ITEM_DAMAGED = "item_damaged"
    NO_ENTITY = "no_entity"
    QID_CONFLICT = "qid_conflict"
    QID_LOOP = "qid_loop"
    QID_MERGED = "qid_merged"
    UNKNOWN_CHANNEL = "unknown_channel"
    UNKNOWN_TYPE = "unknown_type"
    # pairs of the finished counts
    BELOW_MIN_COUNT = "below_min_count"
    BEYOND_MAX_CANDIDATES = "beyond_max_candidates"
    EXCLUDED_ALIAS = "excluded_alias"
    EXCLUDED_FLAG = "excluded_flag"
    ZERO_MASS = "zero_mass"
