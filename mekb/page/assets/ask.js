"use strict";
/* Asking the server: who it is for, and what becomes of the recommendations when an interest goes or comes. */

mekb.ask = (() => {
  const { byId, make, service } = mekb;
  const PAUSE = 160;
  const NEW_WEIGHT = 0.1;
  const MOST_SENT = 1000;
  const LETTERS = ["m", "s", "t", "b", "c"];
  /* `who` is what was asked; `weights` entity -> weight once it was edited; `removed` and `added` entity -> name. */
  const state = { way: "history", chosen: new Map(), who: null, weights: null, removed: new Map(), added: new Map(), turn: 0 };

  const say = (text, kind = "") => {
    const status = byId("status");
    status.className = `status ${kind}`;
    status.textContent = text;
  };

  /** Do something that asks the server; tell what went wrong, and ask for the token where one is wanted. */
  const tried = async (work) => {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof service.Problem)) throw error;
      if (error.status === 401) askForToken();
      else say(error.message, "error");
      return null;
    }
  };

  const askForToken = () => {
    say("This server asks for a token.", "error");
    if (byId("token-form")) return;
    const field = make("input", { id: "token", type: "password", autocomplete: "off", required: true, class: "field" });
    byId("status").after(make("form", {
      id: "token-form", class: "token search",
      on: {
        submit: (event) => {
          event.preventDefault();
          service.withToken(field.value.trim());
          byId("token-form").remove();
          start();
        },
      },
    }, make("label", { for: "token" }, "Token"), field, make("button", { type: "submit" }, "Use it")));
    field.focus();
  };

  /* ---- finding items and entities by their titles ---- */

  /** Fill a field's list of suggestions while somebody types; returns what was last found, by its words. */
  const suggest = (field, list, find, describe, onTaken) => {
    let found = new Map();
    let waiting = null;
    field.addEventListener("input", () => {
      clearTimeout(waiting);
      const words = field.value.trim();
      if (found.has(field.value)) return void onTaken(found.get(field.value));
      if (!words) return void list.replaceChildren();
      waiting = setTimeout(() => tried(async () => {
        const answers = await find(words);
        if (field.value.trim() !== words) return;
        found = new Map();
        for (const answer of answers) found.set(found.has(answer.title) ? `${answer.title} (${describe(answer)})` : answer.title, answer);
        list.replaceChildren(...[...found].map(([value, answer]) => make("option", { value }, describe(answer))));
      }), PAUSE);
    });
    /** What stands in the field: what was suggested, or else what is found by it first. */
    return async () => found.get(field.value) ?? (field.value.trim() ? (await find(field.value.trim()))[0] ?? null : null);
  };

  const isItems = () => state.way === "history";
  const keyOf = (answer) => (isItems() ? `${answer.domain}:${answer.item}` : String(answer.entity_id));
  const describeItem = (answer) => answer.domain;
  const describeEntity = (answer) => mekb.KINDS[answer.kind] ?? answer.kind;

  const showChosen = () => mekb.fill("chosen", ...[...state.chosen].map(([key, title]) =>
    make("li", {}, title, make("button", {
      type: "button", class: "plain", "aria-label": `Take out ${title}`, on: { click: () => { state.chosen.delete(key); showChosen(); } },
    }, "×"))));

  const take = (answer) => {
    if (answer) state.chosen.set(keyOf(answer), answer.title);
    byId("search").value = "";
    byId("search-found").replaceChildren();
    showChosen();
  };

  const chooseWay = (way) => {
    state.way = way;
    state.chosen.clear();
    showChosen();
    byId("ask-text").hidden = way !== "text";
    byId("ask-search").hidden = way === "text";
    byId("search-label").textContent = isItems() ? "Search a title" : "Search an interest";
    byId("search").value = "";
    showExamples();
  };

  /** Examples that the bundle itself has: some of what most people liked, under a few letters. */
  const showExamples = async () => {
    const { way } = state;
    if (way === "text") return void mekb.fill("examples");
    const find = isItems() ? service.items : service.entities;
    const found = await tried(() => Promise.all(LETTERS.map((letter) => find(letter, 2))));
    if (!found || state.way !== way) return;
    const examples = [0, 1].map((place) => found.map((answers) => answers[place]).filter(Boolean).slice(place, place + 3)).filter((one) => one.length);
    mekb.fill("examples", examples.length ? "For example" : "", ...examples.map((answers) =>
      make("button", {
        type: "button", class: "example",
        on: { click: () => { state.chosen.clear(); answers.forEach(take); byId("ask-form").requestSubmit(); } },
      }, answers.map((answer) => answer.title).join(", "))));
  };

  /* ---- a person, and edits of their interests ---- */

  const question = () => {
    if (state.way === "text") return { text: byId("words").value.trim() };
    const chosen = [...state.chosen.keys()];
    return isItems() ? { history: chosen } : { interests: chosen.map((id) => ({ entity_id: Number(id) })) };
  };

  const isEmpty = (who) => !(who.text || who.history?.length || who.interests?.length);

  /** What was asked for, with the interests as they were edited. */
  const edited = () => (state.weights === null ? state.who : {
    ...state.who,
    interests: [...state.weights].sort((a, b) => b[1] - a[1]).slice(0, MOST_SENT).map(([id, weight]) => ({ entity_id: id, weight })),
  });

  const ranks = () => {
    const answer = mekb.page.content?.answer;
    return answer ? new Map(answer.recommendations.map((one) => [one.item, one.rank])) : null;
  };

  const relationsOf = async (id) => (await tried(() => service.relationsOf(id))) ?? [];

  const refresh = async ({ before = null, chosen = null, done = "" } = {}) => {
    state.turn += 1;
    const { turn } = state;
    say("Working it out …", "busy");
    byId("view").setAttribute("aria-busy", "true");
    const content = await tried(() => service.person(edited(), state.added));
    if (turn !== state.turn) return;
    byId("view").removeAttribute("aria-busy");
    if (!content) {
      Object.assign(state, copied(shown));
      return;
    }
    shown = copied(state);
    byId("add-form").hidden = false;
    const editing = { onRemove: remove, relationsOf: service.hasRelations() ? relationsOf : null };
    mekb.page.show(content, { before, chosen, editing });
    showRemoved();
    say(done);
  };

  /* What the page shows: where an edit cannot be answered, it goes back to that. */
  const copied = ({ who, weights, removed, added }) =>
    ({ who, weights: weights && new Map(weights), removed: new Map(removed), added: new Map(added) });
  let shown = copied(state);

  const beginEditing = () => {
    state.weights ??= new Map(mekb.page.content.interests.map((interest) => [interest.id, interest.weight]));
  };

  const remove = (interest) => {
    beginEditing();
    if (!state.weights.has(interest.id)) return;
    state.removed.set(interest.id, { label: interest.label, weight: state.weights.get(interest.id), added: state.added.has(interest.id) });
    state.weights.delete(interest.id);
    state.added.delete(interest.id);
    refresh({ before: ranks(), done: `Without ${interest.label}.` }).then(() => byId("interests").focus({ preventScroll: true }));
  };

  const bringBack = (id) => {
    const { label, weight, added } = state.removed.get(id);
    state.removed.delete(id);
    state.weights.set(id, weight);
    if (added) state.added.set(id, label);
    refresh({ before: ranks(), chosen: id, done: `With ${label} again.` });
  };

  const add = (entity) => {
    beginEditing();
    if (state.weights.has(entity.entity_id)) {
      mekb.page.choose(entity.entity_id);
      return void say(`${entity.title} is among them already.`);
    }
    const total = [...state.weights.values()].reduce((sum, weight) => sum + weight, 0);
    state.weights.set(entity.entity_id, NEW_WEIGHT * (total || 1));
    state.removed.delete(entity.entity_id);
    state.added.set(entity.entity_id, entity.title);
    refresh({ before: ranks(), chosen: entity.entity_id, done: `With ${entity.title}.` });
  };

  const showRemoved = () => mekb.fill("removed", state.removed.size
    ? make("ul", { class: "chips", "aria-label": "Removed" }, [...state.removed].map(([id, { label }]) =>
      make("li", {}, make("s", {}, label), make("button", {
        type: "button", class: "plain", "aria-label": `Bring back ${label}`, on: { click: () => bringBack(id) },
      }, "Bring back"))))
    : null);

  const submit = async () => {
    const left = byId("search").value.trim();
    if (state.way !== "text" && left) take(await tried(findChosen));
    const who = question();
    if (isEmpty(who)) return void say("Say first what to go by.", "error");
    Object.assign(state, { who, weights: null, removed: new Map(), added: new Map() });
    await refresh();
  };

  let findChosen = null;
  let findAdded = null;

  const listen = () => {
    byId("ask-form").addEventListener("submit", (event) => { event.preventDefault(); submit(); });
    for (const way of document.querySelectorAll("input[name=way]")) way.addEventListener("change", () => chooseWay(way.value));
    findChosen = suggest(byId("search"), byId("search-found"), (words) => (isItems() ? service.items(words) : service.entities(words)),
      (answer) => (isItems() ? describeItem(answer) : describeEntity(answer)), take);
    const takeTyped = async () => {
      const answer = await tried(findChosen);
      if (answer) take(answer);
      else if (byId("search").value.trim()) say(`Nothing here is called “${byId("search").value.trim()}”.`, "error");
    };
    byId("search-add").addEventListener("click", takeTyped);
    byId("search").addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !byId("search").value.trim()) return;
      event.preventDefault();
      takeTyped();
    });
    const taken = (entity) => { byId("add").value = ""; byId("add-found").replaceChildren(); add(entity); };
    findAdded = suggest(byId("add"), byId("add-found"), service.entities, describeEntity, taken);
    byId("add-form").addEventListener("submit", async (event) => {
      event.preventDefault();
      const words = byId("add").value.trim();
      const entity = await tried(findAdded);
      if (entity) taken(entity);
      else if (words) say(`No item here holds an interest called “${words}”.`, "error");
    });
  };

  let isListening = false;

  const start = async () => {
    byId("headline").textContent = "Interests and where they lead";
    say("Opening …", "busy");
    const facts = await tried(service.start);
    if (!facts) return;
    byId("subline").textContent = `Say what somebody likes; see their interests, what they are from, and the ${facts.target} they lead to.`;
    byId("ask").hidden = false;
    if (!isListening) listen();
    isListening = true;
    say("");
    chooseWay("history");
  };

  return { start };
})();
