"use strict";
/* The interests as a table: all that the picture shows can be read, chosen and edited here. */

mekb.interests = (() => {
  const ROWS_AT_ONCE = 60;
  const { make } = mekb;

  const tag = (interest) => {
    const words = [mekb.ORIGINS[interest.origin], interest.kind === "wikidata" ? null : mekb.KINDS[interest.kind] ?? interest.kind];
    return words.filter(Boolean).map((word) => make("span", { class: "tag" }, word));
  };

  const row = (content, interest, largest, heard) =>
    make("tr", { data: { id: String(interest.id) } },
      make("th", { scope: "row" },
        make("div", { class: "who" },
          make("span", { class: "dots" }, mekb.domainShares(content, interest).map(([domain]) => mekb.dot(content.domains, domain))),
          make("button", { type: "button", class: "link", on: { click: () => heard.onChoose(interest.id) } }, interest.label),
          tag(interest))),
      make("td", { class: "weigh" }, mekb.measure(interest.weight, largest, mekb.percent(interest.weight))),
      heard.onRemove
        ? make("td", { class: "act" }, make("button", {
          type: "button", class: "plain", "aria-label": `Remove ${interest.label}`, on: { click: () => heard.onRemove(interest) },
        }, "Remove"))
        : null);

  /** Show the table. `heard.onChoose(id)` always, `heard.onRemove(interest)` where they can be edited. */
  const show = (content, heard) => {
    const { interests } = content;
    const largest = mekb.largest(interests.map((interest) => interest.weight));
    const rows = interests.map((interest) => row(content, interest, largest, heard));
    const body = make("tbody", {}, rows.slice(0, ROWS_AT_ONCE));
    const head = make("tr", {}, make("th", { scope: "col" }, "Interest"), make("th", { scope: "col" }, "Weight"),
      heard.onRemove ? make("th", { scope: "col" }, make("span", { class: "unseen" }, "Change")) : null);
    mekb.byId("interests-count").textContent = mekb.count(interests.length, "interest");
    const more = rows.length > ROWS_AT_ONCE
      ? make("button", { type: "button", class: "plain", on: { click: (event) => { body.append(...rows.slice(ROWS_AT_ONCE)); event.target.remove(); } } },
        `Show ${mekb.count(rows.length - ROWS_AT_ONCE, "more")}`.replace("mores", "more"))
      : null;
    mekb.fill("interests-table",
      interests.length ? make("table", {}, make("thead", {}, head), body) : make("p", { class: "empty" }, "No interests."), more);
  };

  /** Mark the row of the chosen interest, and bring it into sight within the table. */
  const choose = (id) => {
    for (const row of document.querySelectorAll("#interests-table tbody tr")) {
      const isChosen = row.dataset.id === String(id);
      row.classList.toggle("chosen", isChosen);
      row.querySelector("button.link").setAttribute("aria-pressed", String(isChosen));
      if (isChosen) keepInSight(row);
    }
  };

  const keepInSight = (row) => {
    const box = mekb.byId("interests-table");
    const top = row.offsetTop - row.offsetHeight - 8;
    const bottom = row.offsetTop + row.offsetHeight + 8;
    if (top < box.scrollTop) box.scrollTop = top;
    else if (bottom > box.scrollTop + box.clientHeight) box.scrollTop = bottom - box.clientHeight;
  };

  return { show, choose };
})();
