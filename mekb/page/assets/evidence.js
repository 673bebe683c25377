"use strict";
/* The evidence behind an interest: each liked item, and the words in it that name the interest. */

mekb.evidence = (() => {
  const ITEMS_AT_ONCE = 4;
  const { make } = mekb;

  const passage = (at) =>
    make("div", { class: "passage" },
      make("blockquote", {}, at.before, make("mark", {}, at.surface), at.after),
      make("p", { class: "where" }, `${at.field}, characters ${at.start}-${at.stop}`),
      make("div", { class: "sure" }, make("span", {}, "P(e|m)"), mekb.measure(at.score, 1, at.score.toFixed(2))));

  const item = (content, place, passages) => {
    const liked = content.items[place];
    return make("article", { class: "evidence-item" },
      make("p", {}, mekb.dot(content.domains, liked.domain), liked.title || liked.id,
        liked.id === "" ? null : make("span", { class: "quiet small" }, liked.domain)),
      passages.map(passage));
  };

  const items = (content, interest) => {
    const byItem = grouped(interest.passages);
    return [...byItem].map(([place, passages]) => item(content, place, passages));
  };

  const grouped = (passages) => {
    const found = new Map();
    for (const at of passages) found.set(at.item, [...(found.get(at.item) ?? []), at]);
    return found;
  };

  const facts = (content, interest) => {
    const known = [`${mekb.percent(interest.weight)} of all interest`];
    if (interest.n_items) known.push(`in ${mekb.count(interest.n_items, "liked item")}`);
    if (interest.n_users) known.push(`shared by ${mekb.count(interest.n_users, "person", "people")}`);
    if (interest.tf > 0) known.push(`tf ${interest.tf.toFixed(2)} × idf ${interest.idf.toFixed(2)}`);
    const named = known.map((fact) => make("span", {}, fact));
    if (interest.qid) {
      named.push(make("a", { href: `https://www.wikidata.org/wiki/${interest.qid}`, target: "_blank", rel: "noopener noreferrer" }, interest.qid));
    } else named.push(make("span", {}, interest.iri ?? mekb.KINDS[interest.kind] ?? interest.kind));
    return make("p", { class: "facts" }, named);
  };

  const why = (content, interest) => {
    if (interest.origin === "inferred") {
      const names = interest.sources.map((id) => content.interests.find((one) => one.id === id)?.label).filter(Boolean);
      return make("p", { class: "notice" }, `Inferred: one step in the knowledge graph from ${names.join(", ")}.`);
    }
    if (interest.origin === "added") return make("p", { class: "notice" }, "Added by hand.");
    if (interest.origin === "pinned") return make("p", { class: "notice" }, "Its weight was set by hand.");
    return null;
  };

  /** Show what an interest is from. `onRelate` draws its relations, and is not given where there can be none. */
  const show = (content, interest, onRelate) => {
    const section = mekb.byId("evidence");
    if (!interest) {
      section.replaceChildren(make("h2", { id: "evidence-title" }, "Evidence"),
        make("p", { class: "empty" }, "Choose an interest, in the picture or in the list, to see what it is from."));
      return;
    }
    const all = items(content, interest);
    const rest = all.slice(ITEMS_AT_ONCE);
    section.replaceChildren(
      make("div", { class: "bar" },
        make("h3", { id: "evidence-title" }, interest.label),
        onRelate ? make("button", { type: "button", id: "relate", on: { click: onRelate } }, "What is it related to?") : null),
      facts(content, interest), why(content, interest) ?? "",
      make("div", { id: "relations" }),
      ...all.slice(0, ITEMS_AT_ONCE),
      rest.length ? make("details", {}, make("summary", {}, `and ${mekb.count(rest.length, "more item")}`), rest) : "",
      all.length || interest.origin !== "derived" ? "" : make("p", { class: "empty" }, "No item names it in so many words."));
  };

  /** Write out an interest's relations, as the picture shows them. */
  const relate = (relations) => {
    const rows = relations.flatMap((relation) => [make("dt", {}, mekb.meaning(relation)), make("dd", {}, relation.label)]);
    mekb.fill("relations", rows.length ? make("dl", { class: "relations" }, rows)
      : make("p", { class: "quiet small" }, "Nothing is known of its relations here."));
  };

  return { show, relate };
})();
