"use strict";
/* The server's answers, in the shape the page shows (mekb.page.content). Offsets of the server count code points. */

mekb.service = (() => {
  const EVIDENCE_EACH = 40;
  const RELATIONS_EACH = 8;
  const CONTEXT = 140;
  const OWN_WORDS = "own words";
  let token = null;
  let facts = null;

  /** A failure in a line for people, and its HTTP status; 0 where no answer came. */
  class Problem extends Error {
    constructor(message, status) {
      super(message);
      this.status = status;
    }
  }

  const ask = async (path, body = null) => {
    const headers = { Accept: "application/json" };
    if (body) headers["Content-Type"] = "application/json";
    if (token) headers.Authorization = `Bearer ${token}`;
    let response;
    try {
      response = await fetch(new URL(`../${path}`, location.href), {
        method: body ? "POST" : "GET", headers, body: body ? JSON.stringify(body) : undefined,
        credentials: "omit", cache: "no-store", redirect: "error",
      });
    } catch {
      throw new Problem("The server cannot be reached.", 0);
    }
    const answer = await response.json().catch(() => null);
    if (response.ok && answer) return answer;
    const detail = answer?.detail ?? answer?.title;
    throw new Problem(typeof detail === "string" ? detail : `The server answered ${response.status}.`, response.status);
  };

  const query = (path, values) => `${path}?${new URLSearchParams(values)}`;

  /** What stands before, at and after a place in a text, by code points; without a text the words alone. */
  const cut = (text, { start, stop, surface }) => {
    const letters = text === null ? [] : [...text];
    if (letters.slice(start, stop).join("") !== surface) return { before: "", surface, after: "" };
    const before = letters.slice(Math.max(0, start - CONTEXT), start).join("");
    const after = letters.slice(stop, stop + CONTEXT).join("");
    return {
      before: start > CONTEXT ? `…${before}` : before, surface,
      after: stop + CONTEXT < letters.length ? `${after}…` : after,
    };
  };

  const content = (profile, answer, who, added) => {
    const items = [];
    const placeOf = new Map();
    const place = (domain, id, title) => {
      const key = JSON.stringify([domain, id]);
      if (!placeOf.has(key)) placeOf.set(key, items.push({ domain, id, title }) - 1);
      return placeOf.get(key);
    };
    const passage = (at) => {
      const isOwn = at.item === null;
      const text = isOwn ? who.text ?? null : at.field === "title" ? at.item_title : null;
      return {
        item: isOwn ? place(OWN_WORDS, "", "In their own words") : place(at.domain, at.item, at.item_title ?? at.item),
        field: isOwn ? "text" : at.field, start: at.start, stop: at.stop, score: at.prior, ...cut(text, at),
      };
    };
    const interests = profile.interests.map((one) => ({
      id: one.entity_id, qid: one.qid, iri: null, label: one.title, title: one.title, kind: one.kind, weight: one.weight, rank: one.rank,
      origin: added.has(one.entity_id) ? "added" : "derived", n_users: 0, tf: 0, idf: 0, sources: [],
      n_items: new Set(one.evidence.filter((at) => at.item !== null).map((at) => `${at.domain}:${at.item}`)).size,
      passages: one.evidence.filter((at) => at.field !== "interest").map(passage).sort((a, b) => b.score - a.score),
    }));
    const domains = [...facts.sources, facts.target].sort();
    return {
      person: null, run_id: null, interests, items, relations: [],
      domains: items.some((item) => item.domain === OWN_WORDS) ? [...domains, OWN_WORDS] : domains,
      answer: {
        target: answer.target, fallback: answer.fallback, notes: [...new Set([...profile.notes, ...answer.notes])],
        recommendations: answer.recommendations.map((one) => ({
          ...one,
          reasons: one.reasons.map((why) => ({ ...why, items: [...new Set(why.evidence.map((at) => at.item_title).filter(Boolean))].slice(0, 3) })),
        })),
      },
    };
  };

  /** Ask for the profile of somebody and what they are recommended. `who` is what the API calls Who. */
  const person = async (who, added) => {
    const [profile, answer] = await Promise.all([
      ask("profile", { ...who, max_evidence: EVIDENCE_EACH }),
      ask("recommend", { ...who, k: 10 }),
    ]);
    return content(profile, answer, who, added);
  };

  const relationsOf = async (id) => {
    const found = await ask(query(`entities/${id}/neighbours`, { limit: RELATIONS_EACH }));
    return found.neighbours.map((one) => ({
      interest: id, predicate: one.predicate, other: one.entity_id, label: one.title, is_object: one.is_object,
    }));
  };

  const start = async () => {
    facts = await ask("bundle");
    return facts;
  };

  return {
    Problem, start, person, relationsOf,
    hasRelations: () => facts.has_relations,
    withToken: (given) => { token = given; },
    entities: async (q, limit = 8) => (await ask(query("entities", { q, limit }))).entities,
    items: async (q, limit = 8) => (await ask(query("items", { q, limit }))).items,
  };
})();
