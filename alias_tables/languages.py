"""What MediaWiki and the larger Wikipedias fix per language: trails, redirect words, page conventions.

Link trails are `$linkTrail` of MediaWiki's `MessagesXx.php`; interwiki prefixes are the language codes
of Wikipedias and the prefixes of the sister projects, which a dump does not carry.
"""

# ruff: noqa: RUF001 (letters of other scripts are the content)

from collections.abc import Mapping
from types import MappingProxyType

DEFAULT_TRAIL = "a-z"
"""MediaWiki's default: ASCII letters right after a link belong to its text, `[[Bus]]es`."""

TRAILS: Mapping[str, str] = MappingProxyType(
    {
        "ar": "a-zء-ي",
        "be": "a-zабвгґджзеёжзійклмнопрстуўфхцчшыьэюяćčłńśšŭźž",
        "bg": "a-zабвгдежзийклмнопрстуфхцчшщъыьэюя",
        "ca": "a-zàèéíòóúç·ïü'",
        "cs": "a-záčďéěíňóřšťúůýž",
        "da": "a-zæøå",
        "de": "a-zäöüß",
        "el": "a-zαβγδεζηθικλμνξοπρστυφχψωςάέήίόύώϊϋΐΰ",
        "es": "a-záéíóúñ",
        "et": "a-zäöõšüž",
        "fa": "a-zابپتثجچحخدذرزژسشصضطظعغفقکگلمنوهیآأئؤة",
        "fi": "a-zäö",
        "fr": "a-zàâçéèêîôûäëïöüùÇÉÂÊÎÔÛÄËÏÖÜÀÈÙ",
        "he": "a-zא-ת",
        "hr": "a-zčšžćđßäöü",
        "hu": "a-záéíóúöüőűÁÉÍÓÚÖÜŐŰ",
        "it": "a-zàéèíîìóòúù",
        "ja": "",
        "ko": "",
        "ltg": "a-zāčēģīķļņōšūžy",
        "lt": "a-ząčęėįšųūž",
        "lv": "a-zāčēģīķļņšūž",
        "nb": "a-zæøå",
        "nl": "a-zäöüïëéèà",
        "nn": "a-zæøå",
        "no": "a-zæøå",
        "pl": "a-zęóąśłżźćńĘÓĄŚŁŻŹĆŃ",
        "pt": "a-záâãàéêẽçíòóôõũúűü",
        "ro": "a-zăâîșțşţ",
        "ru": "a-zабвгдеёжзийклмнопрстуфхцчшщъыьэюя",
        "sk": "a-záäčďéíľĺňóôŕšťúýž",
        "sl": "a-zčćđžš",
        "sr": "a-zабвгдђежзијклљмнњопрстћуфхцчџшčćđžš",
        "sv": "a-zåäöéÅÄÖÉ",
        "tr": "a-zÇĞçğİıÖöŞşÜü",
        "uk": "a-zабвгґдеєжзиіїйклмнопрстуфхцчшщьюяёъы",
        "vi": "a-zàâçéèêîôûäëïöüùÇÉÂÊÎÔÛÄËÏÖÜÀÈÙ",
        "wuu": "",
        "yue": "",
        "zh": "",
    }
)
"""Body of the character class a link's trail is made of; empty: this language has no trail."""

DOTTED_I = frozenset({"az", "crh", "kaa", "kk", "tr", "tt"})
"""Languages in which the capital of `i` is `İ`."""

LABEL_LANGUAGES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "de": ("de-at", "de-ch"),
        "en": ("en-gb", "en-ca", "en-us"),
        "es": ("es-419",),
        "nb": ("no",),
        "no": ("nb",),
        "pt": ("pt-br",),
        "sr": ("sr-ec", "sr-el"),
        "yue": ("zh-hk", "zh-hant"),
        "zh": (
            "zh-hans",
            "zh-cn",
            "zh-sg",
            "zh-my",
            "zh-hant",
            "zh-tw",
            "zh-hk",
            "zh-mo",
        ),
    }
)
"""Wikidata's codes of a wiki's written variants, in which its readers write names too; nearest first."""

REDIRECT_WORDS = frozenset(
    [
        "redirect",
        "weiterleitung",
        "redirection",
        "redirección",
        "rinvia",
        "redirecionamento",
        "doorverwijzing",
        "omdirigering",
        "omdiriger",
        "viderestil",
        "ohjaus",
        "uudelleenohjaus",
        "patrz",
        "przekieruj",
        "tam",
        "přesměruj",
        "átirányítás",
        "yönlendirme",
        "yönlendi̇rme",
        "redireccion",
        "перенаправление",
        "перенапр",
        "перенаправлення",
        "виж",
        "преусмеряване",
        "преусмјери",
        "аҭыжь",
        "пренасочување",
        "תغيير",
        "تحويل",
        "تغییر_مسیر",
        "تغییرمسیر",
        "הפניה",
        "重定向",
        "重新導向",
        "転送",
        "リダイレクト",
        "넘겨주기",
        "đổi",
        "alih",
        "alihkan",
        "novirzīt",
        "пераняць",
        "suunamine",
        "reindreziare",
        "redirecteaza",
        "ανακατευθυνση",
        "preusmeritev",
        "preusmeri",
        "presmeruj",
    ]
)
"""Words after `#` that make a redirect, casefolded; used only where a dump lacks `<redirect>`."""

NAMESPACE_NAMES: Mapping[str, int] = MappingProxyType(
    {
        "media": -2,
        "special": -1,
        "talk": 1,
        "user": 2,
        "user talk": 3,
        "project": 4,
        "project talk": 5,
        "file": 6,
        "image": 6,
        "file talk": 7,
        "image talk": 7,
        "mediawiki": 8,
        "mediawiki talk": 9,
        "template": 10,
        "template talk": 11,
        "help": 12,
        "help talk": 13,
        "category": 14,
        "category talk": 15,
    }
)
"""Canonical names, valid on every wiki beside those its `<siteinfo>` declares."""

LEGACY_NAMESPACES: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        "de": {"bild": 6, "benutzerin": 2},
        "en": {"wp": 4, "wt": 5},
        "es": {"imagen": 6},
        "fr": {"image": 6},
        "it": {"immagine": 6},
        "nl": {"afbeelding": 6},
        "pl": {"grafika": 6},
        "pt": {"imagem": 6},
        "ru": {"изображение": 6},
        "sv": {"bild": 6},
        "zh": {"图像": 6, "圖像": 6, "文件": 6, "檔案": 6, "分类": 14, "分類": 14},
    }
)
"""Aliases set in a wiki's configuration, which a dump does not repeat."""

_LANGUAGE_CODES = (
    "aa ab ace ady af ak als alt am ami an ang ann anp ar arc ary arz as ast atj av avk awa ay az azb"
    " ba ban bar bat-smg bbc bcl bdr be be-tarask be-x-old bew bg bh bi bjn blk bm bn bo bpy br bs btm"
    " bug bxr ca cbk-zam cdo ce ceb ch cho chr chy ckb co cr crh cs csb cu cv cy da dag de dga din diq"
    " dsb dtp dty dv dz ee el eml en eo es et eu ext fa fat ff fi fiu-vro fj fo fon fr frp frr fur fy ga"
    " gag gan gcr gd gl glk gn gom gor got gpe gu guc gur guw gv ha hak haw he hi hif ho hr hsb ht hu hy"
    " hyw hz ia iba id ie ig igl ii ik ilo inh io is it iu ja jam jbo jv ka kaa kab kbd kbp kcg kg kge"
    " ki kj kk kl km kn knc ko koi kr krc ks ksh ku kus kv kw ky la lad lb lbe lez lfn lg li lij lld lmo"
    " ln lo lrc lt ltg lv mad mai map-bms mdf mg mh mhr mi min mk ml mn mni mnw mo mos mr mrj ms mt mus"
    " mwl my myv mzn na nah nan nap nds nds-nl ne new ng nia nl nn no nov nqo nr nrm nso nup nv ny oc"
    " olo om or os pa pag pam pap pcd pcm pdc pfl pi pih pl pms pnb pnt ps pt pwn qu rm rmy rn ro"
    " roa-rup roa-tara rsk ru rue rw sa sah sat sc scn sco sd se sg sh shi shn si simple sk skr sl sm"
    " smn sn so sq sr srn ss st stq su sv sw szl szy ta tay tcy tdd te tet tg th ti tig tk tl tly tn to"
    " tpi tr trv ts tt tum tw ty tyv udm ug uk ur uz ve vec vep vi vls vo wa war wo wuu xal xh xmf yi yo"
    " yue za zea zgh zh zh-classical zh-cn zh-min-nan zh-tw zh-yue zu"
)
_PROJECT_PREFIXES = (
    "b betawikiversity bugzilla c commons d doi foundation google gerrit imdb incubator iso m"
    " mailarchive mediazilla meta metawikipedia mw n otrs oldwikisource outreach phab phabricator q s"
    " species strategy test testwiki toolforge toollabs translatewiki v voy w wikia wikibooks"
    " wikidata wikimedia wikinews wikipedia wikiquote wikisource wikispecies wikitech wikiversity"
    " wikivoyage wikt wiktionary wmf"
)
INTERWIKI_PREFIXES = frozenset((_LANGUAGE_CODES + " " + _PROJECT_PREFIXES).split())
"""Prefixes that lead to another wiki: `[[:de:Berlin]]`, `[[wikt:dog]]`."""
