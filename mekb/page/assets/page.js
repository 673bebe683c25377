"use strict";
/* The page: puts a person's content into its parts, and keeps picture, list and evidence on one choice. */

mekb.page = (() => {
  const { byId, make } = mekb;
  const page = { content: null, chosen: null, graph: null, editing: null };

  const legend = (content) => {
    const known = new Set(content.items.map((item) => item.domain));
    const rows = content.domains.filter((domain) => known.has(domain)).map((domain) => make("li", {}, mekb.dot(content.domains, domain), domain));
    if (content.interests.some((interest) => interest.kind !== "wikidata")) {
      rows.push(make("li", {}, make("span", { class: "dot ring", "aria-hidden": "true" }), "named by the data set"));
    }
    if (content.interests.some((interest) => interest.origin === "inferred")) {
      rows.push(make("li", {}, make("span", { class: "dot dash", "aria-hidden": "true" }), "inferred"));
    }
    rows.push(make("li", {}, "area: weight"));
    mekb.fill("legend", ...rows);
  };

  const relationsOf = (id) => page.content.relations.filter((relation) => relation.interest === id);

  const relate = async () => {
    const id = page.chosen;
    if (id === null) return;
    const relations = page.editing?.relationsOf ? await page.editing.relationsOf(id) : relationsOf(id);
    if (page.chosen !== id) return;
    page.graph?.relate(id, relations);
    mekb.evidence.relate(relations);
  };

  const choose = (id) => {
    page.chosen = id;
    const interest = page.content.interests.find((one) => one.id === id) ?? null;
    page.graph?.choose(id);
    mekb.interests.choose(id);
    const canRelate = interest && (page.editing?.relationsOf || relationsOf(id).length > 0);
    mekb.evidence.show(page.content, interest, canRelate ? relate : null);
    byId("said").textContent = interest
      ? `${interest.label}, ${mekb.percent(interest.weight)}, ${mekb.count(interest.passages.length, "mention")}` : "";
  };

  const drawGraph = (content) => {
    page.graph?.destroy();
    page.graph = null;
    const container = byId("graph");
    container.replaceChildren();
    container.classList.toggle("empty", !content.interests.length);
    if (content.interests.length) page.graph = mekb.graph.draw(container, content, choose);
    else container.append(make("p", { class: "empty" }, "Nothing this person liked could be linked to an entity."));
    page.cy = page.graph?.cy ?? null;
  };

  /** Show a person. `before` is item -> rank of the recommendations that stood there, or null. */
  const show = (content, { before = null, editing = null, chosen = null } = {}) => {
    Object.assign(page, { content, editing });
    if (content.person) {
      byId("headline").textContent = `Interests of ${content.person}`;
      byId("subline").textContent = content.interests.length
        ? `${mekb.count(content.interests.length, "interest")} from ${mekb.count(content.items.length, "liked item")}, each with the words it was found in.`
        : "";
    }
    byId("view").hidden = false;
    drawGraph(content);
    legend(content);
    mekb.interests.show(content, { onChoose: choose, onRemove: editing?.onRemove });
    mekb.answer.show(content, before, choose);
    const stays = content.interests.some((interest) => interest.id === chosen);
    choose(stays ? chosen : content.interests[0]?.id ?? null);
    byId("foot").textContent = content.run_id ? `Scored in run ${content.run_id}.` : "";
  };

  const step = (by) => {
    const ids = page.content.interests.map((interest) => interest.id);
    if (ids.length) choose(ids[(ids.indexOf(page.chosen) + by + ids.length) % ids.length]);
  };

  const KEYS = {
    ArrowRight: () => step(1), ArrowDown: () => step(1), ArrowLeft: () => step(-1), ArrowUp: () => step(-1),
    "+": () => page.graph?.zoom(1.25), "-": () => page.graph?.zoom(0.8), 0: () => page.graph?.fit(), r: relate, R: relate,
  };

  byId("graph").addEventListener("keydown", (event) => {
    const act = event.ctrlKey || event.metaKey || event.altKey ? null : KEYS[event.key];
    if (!act || !page.content) return;
    event.preventDefault();
    act();
  });
  byId("zoom-in").addEventListener("click", () => page.graph?.zoom(1.25));
  byId("zoom-out").addEventListener("click", () => page.graph?.zoom(0.8));
  byId("fit").addEventListener("click", () => page.graph?.fit());

  return Object.assign(page, { show, choose });
})();

{
  const stored = document.getElementById("content");
  if (stored) mekb.page.show(JSON.parse(stored.textContent));
  else mekb.ask.start();
}
