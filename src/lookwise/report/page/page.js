
"use strict";
// Draws the samples.  Every string of the data is somebody else's: it goes into the page through textContent, never as
// markup, and pictures only as the JPEG data URIs that the program itself has made.
(function () {
  const data = JSON.parse(document.getElementById("data").textContent);
  const PAGE = 20;
  const PICTURE = "data:image/jpeg;base64,";
  const bar = document.getElementById("bar");
  const list = document.getElementById("list");
  const pager = document.getElementById("pager");
  if (!data.samples.length) { return; }

  function make(tag, kind, text) {
    const node = document.createElement(tag);
    if (kind) { node.className = kind; }
    if (text !== undefined && text !== null) { node.textContent = text; }
    return node;
  }

  function into(parent, ...children) {
    parent.append(...children.filter(Boolean));
    return parent;
  }

  function unique(values) { return [...new Set(values)]; }

  // Readers that are compared; baselines and ceilings stand beside them.  A group is a reader apart from its policy.
  const readers = data.readers.filter((reader) => reader.kind === "reader");
  const groups = unique(readers.map((reader) => reader.group));
  const columns = unique(readers.map((reader) => reader.policy));
  const answerOf = (sample, group, policy) => sample.answers.find(
    ([index]) => data.readers[index].policy === policy && data.readers[index].group === group);

  // ---- what is chosen ----
  const OUTCOMES = {
    "any outcome": () => true,
    "right": (now) => now && now[3] === true,
    "wrong": (now) => now && now[3] === false && now[1] !== null,
    "no readable answer": (now) => now && now[1] === null,
    "right, wrong without pictures": (now, blind) => now && blind && now[3] === true && blind[3] === false,
    "wrong, right without pictures": (now, blind) => now && blind && now[3] === false && blind[3] === true,
  };
  const KEPT = {
    "kept or dropped": () => true,
    "something shown": (shown) => shown.some(Boolean),
    "something dropped": (shown) => shown.some((one) => !one),
  };
  const blind = readers.find((reader) => reader.policy === "none" && reader.tuned_on === "none");
  function blindAnswer(sample, group) {
    return (blind && answerOf(sample, blind.group, "none")) || answerOf(sample, group, "none");
  }
  const favourite = ["captions:vote", "visuals:predicted", "captions:always", "visuals:always"]
    .map((policy) => readers.find((reader) => reader.policy === policy && reader.tuned_on === policy)
      || readers.find((reader) => reader.policy === policy))
    .find(Boolean) || readers[0];
  const chosen = {
    task: "", split: "", outcome: "any outcome", kept: "kept or dropped", words: "", page: 0,
    policy: favourite ? favourite.policy : "", group: favourite ? favourite.group : "",
  };

  function words(sample) {
    if (!sample.words) {
      sample.words = JSON.stringify([sample.id, sample.fields, sample.options, sample.visuals]).toLowerCase();
    }
    return sample.words;
  }

  function matches(sample) {
    if (chosen.task && sample.task !== chosen.task) { return false; }
    if (chosen.split && sample.split !== chosen.split) { return false; }
    const now = answerOf(sample, chosen.group, chosen.policy);
    if (!OUTCOMES[chosen.outcome](now, blindAnswer(sample, chosen.group))) { return false; }
    const place = data.policies.indexOf(chosen.policy);
    if (!KEPT[chosen.kept](sample.visuals.map((visual) => visual.shown.includes(place)))) { return false; }
    return !chosen.words || words(sample).includes(chosen.words.toLowerCase());
  }

  // ---- the bar ----
  function picker(name, key, options) {
    const select = make("select");
    for (const [value, text] of options) {
      const option = make("option", "", text);
      option.value = value;
      option.selected = value === chosen[key];
      select.append(option);
    }
    select.addEventListener("change", () => { chosen[key] = select.value; chosen.page = 0; draw(); });
    return into(make("label", "", name), select);
  }
  const plain = (values) => values.map((value) => [value, value]);
  const search = make("input");
  search.type = "search";
  search.placeholder = "words in it";
  search.addEventListener("input", () => { chosen.words = search.value; chosen.page = 0; draw(); });
  const count = make("span", "count");
  into(bar,
    picker("task", "task", [["", "all tasks"], ...plain(unique(data.samples.map((s) => s.task)))]),
    picker("split", "split", [["", "all splits"], ...plain(unique(data.samples.map((s) => s.split)))]),
    picker("reader", "group", plain(groups)),
    picker("policy", "policy", plain(columns)),
    picker("outcome", "outcome", plain(Object.keys(OUTCOMES))),
    picker("pictures", "kept", plain(Object.keys(KEPT))),
    into(make("label", "", "search"), search), count);

  // ---- one sample ----
  function fieldList(sample) {
    const all = make("dl");
    for (const [name, value] of sample.fields) {
      const body = make("dd");
      if (Array.isArray(value)) {
        into(body, into(make("ol"), ...value.map((item) => make("li", "", item))));
      } else { body.textContent = value; }
      into(all, make("dt", "", name), body);
    }
    if (sample.options.length) {
      into(all, make("dt", "", "options"), into(make("dd"), ...sample.options.map((item) => make("div", "", item))));
    }
    const gold = make("dd", "", sample.target === null ? "(none given)" : sample.target);
    return into(make("div", "fields"), into(all, make("dt", "", "gold"), gold));
  }

  function picture(visual) {
    const uri = visual.picture === null ? "" : data.pictures[visual.picture] || "";
    if (!uri.startsWith(PICTURE)) { return make("div", "missing", visual.why || "no picture"); }
    const image = make("img");
    image.src = uri;
    image.alt = "picture of " + visual.slot;
    image.loading = "lazy";
    return image;
  }

  function visualRow(visual) {
    const place = data.policies.indexOf(chosen.policy);
    const shown = visual.shown.includes(place);
    const text = make("div");
    into(text, make("div", "slot", visual.slot + (visual.candidate ? ", candidate " + visual.candidate : "")));
    if (visual.caption !== null) { into(text, make("div", "caption", visual.caption)); }
    for (const one of visual.worth) { into(text, make("div", "slot", one)); }
    if (visual.caption_why) { into(text, make("div", "slot", "no caption: " + visual.caption_why)); }
    const chips = make("div", "chips");
    if (place >= 0) {
      into(chips, make("span", "chip" + (shown ? " shown" : ""), shown ? "shown" : "not shown"));
    }
    for (const [judge, verdict, reply, why] of visual.votes) {
      const kind = verdict === "yes" ? " good" : verdict === "no" ? " bad" : "";
      const chip = make("span", "chip" + kind, judge + ": " + (verdict || "unreadable"));
      chip.title = [reply, why].filter(Boolean).join(" / ");
      into(chips, chip);
    }
    return into(make("div", "visual" + (shown || place < 0 ? "" : " dropped")), picture(visual), into(text, chips));
  }

  function answerTable(sample) {
    const mine = columns.filter((policy) => groups.some((group) => answerOf(sample, group, policy)));
    const head = into(make("tr"), make("th"), ...mine.map((policy) => make("th", "", policy)));
    const body = make("tbody");
    for (const group of groups) {
      if (!mine.some((policy) => answerOf(sample, group, policy))) { continue; }
      const line = into(make("tr"), make("th", "", group));
      for (const policy of mine) {
        const answer = answerOf(sample, group, policy);
        const kind = !answer || answer[3] === null ? "" : answer[3] ? "good" : "bad";
        const here = group === chosen.group && policy === chosen.policy ? " chosen" : "";
        const mark = kind === "good" ? " ✓" : kind === "bad" ? " ✗" : "";
        const said = !answer ? "" : answer[1] === null ? "unreadable" : answer[1] + mark;
        into(line, make("td", kind + here, said));
      }
      into(body, line);
    }
    const others = make("div", "chips");
    for (const [index, answer, , right] of sample.answers) {
      const reader = data.readers[index];
      if (reader.kind === "reader") { continue; }
      const kind = right === null ? "" : right ? " good" : " bad";
      into(others, make("span", "chip" + kind, reader.label + ": " + (answer === null ? "unreadable" : answer)));
    }
    return into(make("div", "answers"), into(make("table"), into(make("thead"), head), body), others);
  }

  function replies(sample) {
    const all = make("dl");
    for (const [index, , reply, , why] of sample.answers) {
      if (reply === null && !why) { continue; }
      const reader = data.readers[index];
      into(all, make("dt", "", [reader.group, reader.label].filter(Boolean).join(" / ")));
      into(all, make("dd", "", [reply, why && "(" + why + ")"].filter(Boolean).join(" ")));
    }
    if (!all.children.length) { return null; }
    return into(make("details", "replies"), make("summary", "", "replies, word for word"), all);
  }

  function card(sample) {
    const head = into(make("div", "head"), make("span", "task", sample.task.replaceAll("_", " ")),
      make("span", "", sample.split), sample.subset && make("span", "", sample.subset), make("span", "id", sample.id));
    const visuals = into(make("div"), ...sample.visuals.map(visualRow));
    return into(make("article", "card"), head, into(make("div", "body"), visuals, fieldList(sample)),
      answerTable(sample), replies(sample));
  }

  function draw() {
    const found = data.samples.filter(matches);
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    chosen.page = Math.min(chosen.page, pages - 1);
    count.textContent = found.length + " of " + data.samples.length;
    list.replaceChildren(...found.slice(chosen.page * PAGE, (chosen.page + 1) * PAGE).map(card));
    if (!found.length) { list.append(make("p", "note", "No embedded sample is like this.")); }
    pager.replaceChildren();
    if (pages > 1) {
      const step = (text, by) => {
        const button = make("button", "", text);
        button.disabled = chosen.page + by < 0 || chosen.page + by >= pages;
        button.addEventListener("click", () => { chosen.page += by; draw(); bar.scrollIntoView(); });
        return button;
      };
      into(pager, step("earlier", -1), make("span", "", (chosen.page + 1) + " / " + pages), step("later", 1));
    }
  }
  draw();
})();
