"use strict";
/* Recommendations with the interests that carried them, and how they moved since they were last asked for. */

mekb.answer = (() => {
  const { make } = mekb;

  const reason = (content, given, largest, onChoose) => {
    const known = content.interests.some((interest) => interest.id === given.entity_id);
    const name = known
      ? make("button", { type: "button", class: "link", on: { click: () => onChoose(given.entity_id) } }, given.title)
      : make("span", {}, given.title);
    const [first, ...others] = given.items;
    const from = first
      ? make("span", { class: "from", title: given.items.join(", ") }, ` from ${first}${others.length ? " and others" : ""}`)
      : null;
    return make("li", { class: "reason" }, make("span", {}, name, from),
      mekb.measure(given.contribution, largest, `+${given.contribution.toFixed(2)}`));
  };

  const moved = (now, before) => {
    if (!before) return null;
    const was = before.get(now.item);
    if (was === undefined) return make("span", { class: "moved new" }, "new");
    if (was === now.rank) return null;
    const places = was - now.rank;
    return make("span", { class: "moved" }, `${places > 0 ? "↑" : "↓"} ${Math.abs(places)}`,
      make("span", { class: "unseen" }, places > 0 ? " places up" : " places down"));
  };

  /** Show an answer. `before` is item -> rank of the answer that stood there, or null. */
  const show = (content, before, onChoose) => {
    const section = mekb.byId("answer");
    const { answer } = content;
    section.hidden = !answer;
    if (!answer) return;
    const found = answer.recommendations;
    const largest = mekb.largest(found.flatMap((one) => one.reasons.map((given) => given.contribution)));
    const list = found.map((one) =>
      make("li", { class: `recommended${before && !before.has(one.item) ? " fresh" : ""}`, data: { item: one.item } },
        make("span", { class: "rank" }, one.rank),
        make("span", { class: "name" }, one.title || one.item),
        moved(one, before),
        one.reasons.length
          ? make("ul", { class: "reasons", "aria-label": "Because of" }, one.reasons.map((given) => reason(content, given, largest, onChoose)))
          : null));
    section.replaceChildren(
      make("div", { class: "bar" }, make("h2", { id: "answer-title" }, `Recommended ${answer.target}`),
        make("span", { class: "quiet small" }, answer.fallback ? "by popularity" : "with the interests behind them")),
      answer.fallback ? make("p", { class: "notice" }, "There is no interest to go by, so these are what most people liked.") : "",
      list.length ? make("ol", {}, list) : make("p", { class: "empty" }, "Nothing is left to recommend."),
      answer.notes.length ? make("ul", { class: "notes" }, answer.notes.map((note) => make("li", {}, note))) : "");
  };

  return { show };
})();
