/* A department's side in the browser: receipts, answers that outlive a lost connection and are sent once, and a call
   when something new comes in. Answers wait in localStorage with their Idempotency-Key until the server has them. */
(() => {
  "use strict";
  const muster = window.muster;
  const SLOT = `muster.waiting:${muster.root || "/"}`;
  const ALERTS = "muster.alerts";
  const TRY_EVERY = 5_000;
  const GIVE_UP_AFTER = 15_000; /* one attempt; a late arrival does no harm, as its key is known */
  const TOLD_AFTER = 400; /* gives tracking a moment before the page is read again */
  const desk = () => document.getElementById("desk");
  const person = () => desk().dataset.person;
  const words = () => desk().dataset;

  /* What waits. */
  const read = () => { try { return JSON.parse(localStorage.getItem(SLOT)) ?? []; } catch { return []; } };
  const write = (items) => localStorage.setItem(SLOT, JSON.stringify(items));
  const mine = () => read().filter((item) => item.person === person());
  const drop = (key) => write(read().filter((item) => item.key !== key));
  const exclusively = (work) => (navigator.locks ? navigator.locks.request(SLOT, work) : work());

  const time = (at) => new Intl.DateTimeFormat(document.documentElement.lang, { timeStyle: "medium", hour12: false }).format(new Date(at));
  const item = (text, ...more) => {
    const li = document.createElement("li");
    li.append(text, ...more);
    return li;
  };
  const show = ({ stuck = false, problem = "" } = {}) => {
    const waiting = mine();
    const box = document.getElementById("waiting");
    const late = waiting.filter((each) => each.tried);
    box.hidden = !late.length;
    box.querySelector("ul").replaceChildren(...late.map((each) => item(`${each.label}: ${each.title} (${time(each.at)})`)));
    box.querySelector(".problem").textContent = problem;
    for (const card of document.querySelectorAll("[data-order]")) {
      const own = waiting.filter((each) => each.order === card.dataset.order);
      const line = card.querySelector(".order-waiting");
      if (!line) continue;
      line.hidden = !own.length;
      line.textContent = own.map((each) => `${each.label}: ${each.tried || stuck ? words().waiting : words().sending}`).join(" · ");
      for (const button of card.querySelectorAll("[data-say]")) {
        button.disabled = own.some((each) => each.body.answer === button.dataset.say) && !["progress", "block"].includes(button.dataset.say);
      }
    }
  };
  const turnDown = (each, detail) => {
    const box = document.getElementById("turned-down");
    box.hidden = false;
    box.querySelector("ul").append(item(`${words().refused}: ${each.label}, ${each.title}. ${detail}`));
  };

  /* Whether there is a connection: the browser's word, the stream's, and what became of the last attempt. */
  let failed = false, lost = false;
  const away = () => { document.getElementById("away").hidden = navigator.onLine && !failed && !lost; };

  const attempt = (each) => Promise.race([
    muster.send("POST", each.url, each.body, { key: each.key }),
    new Promise((_, reject) => { setTimeout(() => reject(new Error("no answer")), GIVE_UP_AFTER); }),
  ]);
  const later = (status) => status >= 500 || status === 408 || status === 429;
  const signedOut = (status, told) => status === 401 || (status === 403 && (told.type ?? "").endsWith(":forged"));
  let flushing = null;
  const flush = () => (flushing ??= exclusively(async () => {
    let problem = "";
    for (const each of mine()) {
      let result;
      try { result = await attempt(each); } catch { failed = true; break; }
      failed = false;
      if (result.ok) {
        drop(each.key);
        muster.toast(`${each.label}: ${words().sent}`, "good");
        setTimeout(() => document.body.dispatchEvent(new CustomEvent("muster:answered")), TOLD_AFTER);
      } else if (signedOut(result.status, result.told)) {
        problem = words().signIn;
        break;
      } else if (later(result.status)) break;
      else {
        drop(each.key);
        turnDown(each, result.told.detail ?? result.told.title ?? String(result.status));
      }
    }
    const left = mine();
    if (left.length) write(read().map((each) => (each.person === person() ? { ...each, tried: true } : each)));
    show({ stuck: left.length > 0, problem });
    away();
  }).finally(() => { flushing = null; if (mine().some((each) => !each.tried)) flush(); }));

  const say = (card, answer, label, fields = {}) => {
    const body = { answer, ...fields, occurred_at: new Date(muster.now()).toISOString() };
    const { order, title, answers: url } = card.dataset;
    write([...read(), { key: crypto.randomUUID(), person: person(), order, title, label, url, body, at: Date.now() }]);
    show();
    flush();
  };

  /* Receipts: the browser is the department's consumer. Their keys are the order's, so that any number of its
     people's browsers give one receipt. */
  const given = new Set();
  const receipt = async (card, answer) => {
    const key = `${answer}-${card.dataset.order}`;
    if (given.has(key)) return;
    given.add(key);
    try {
      const { ok, status } = await muster.send("POST", card.dataset.answers, { answer }, { key });
      if (!ok && later(status)) given.delete(key);
    } catch { given.delete(key); }
  };
  const unanswered = (card) => ["issued", "delivered"].includes(card.dataset.state);
  const seen = (card) => { if ("mine" in card.dataset && unanswered(card)) receipt(card, "acknowledge"); };

  /* A call for what is new. Browsers allow sound after a tap only. */
  let sound = null;
  const on = () => localStorage.getItem(ALERTS) === "on";
  const label = () => {
    const button = document.getElementById("alerts");
    if (!button) return;
    button.setAttribute("aria-pressed", String(on()));
    button.textContent = !on() ? words().soundOff : sound?.state === "running" ? words().soundOn : words().soundTap;
  };
  const allow = async () => {
    sound ??= new AudioContext();
    await sound.resume();
    if ("Notification" in window && Notification.permission === "default") await Notification.requestPermission();
    label();
  };
  const beep = (notes) => {
    if (!on() || sound?.state !== "running") return;
    notes.forEach(([pitch, from], place) => {
      const tone = sound.createOscillator(), gain = sound.createGain(), at = sound.currentTime + from;
      tone.frequency.value = pitch;
      gain.gain.setValueAtTime(0.0001, at);
      gain.gain.exponentialRampToValueAtTime(0.35, at + 0.02);
      gain.gain.exponentialRampToValueAtTime(0.0001, at + 0.28);
      tone.connect(gain).connect(sound.destination);
      tone.start(at);
      tone.stop(at + 0.3);
      if (place === 0) navigator.vibrate?.([250, 120, 250]);
    });
  };
  const ORDER = [[880, 0], [660, 0.3], [880, 0.6], [660, 0.9], [880, 1.2]];
  const NOTICE = [[520, 0], [660, 0.25]];
  const notify = async (card, text) => {
    if (!on() || !("Notification" in window) || Notification.permission !== "granted") return;
    const link = card.querySelector("a[href]");
    const data = { url: link ? link.href : location.href };
    const options = { body: card.dataset.title, tag: card.dataset.order, icon: "/static/icon-192.png", renotify: true, data };
    const worker = await navigator.serviceWorker?.getRegistration();
    if (worker) worker.showNotification(text, options);
    else new Notification(text, options);
  };

  /* After every redraw. */
  const revisions = new Map();
  const opened = new Set();
  let drawn = false;
  const bare = document.title;
  const look = () => {
    const cards = [...document.querySelectorAll("[data-order][data-mine]")];
    for (const card of cards) {
      const { order, revision, notice } = card.dataset;
      const known = revisions.get(order);
      if (drawn && known === undefined && unanswered(card)) {
        card.classList.add("new");
        beep(ORDER);
        notify(card, words().newOrder);
      } else if (drawn && known !== undefined && Number(revision) > known && notice !== "issued") {
        beep(NOTICE);
        notify(card, card.querySelector(".order-notice b")?.textContent ?? words().newOrder);
      }
      revisions.set(order, Number(revision));
      const received = "deliver" in card.dataset ? receipt(card, "deliver") : Promise.resolve();
      if ("seen" in card.dataset) received.then(() => seen(card));
      for (const more of card.querySelectorAll("details[id]")) if (opened.has(more.id)) more.open = true;
    }
    const count = cards.filter(unanswered).length;
    if (document.getElementById("orders")) document.title = count ? `(${count}) ${bare}` : bare;
    drawn = true;
    show();
  };

  document.addEventListener("toggle", (event) => {
    const more = event.target;
    const card = more instanceof HTMLDetailsElement && more.id ? more.closest("[data-order]") : null;
    if (!card) return;
    if (!more.open) opened.delete(more.id);
    else {
      opened.add(more.id);
      if ("opens" in more.dataset) seen(card);
    }
  }, true);

  let spoken = null;
  document.addEventListener("click", (event) => {
    const el = event.target.closest("[data-say], [data-quick], [data-flush], [data-dismiss], #alerts");
    if (!el) return;
    if (el.dataset.say) {
      const card = el.closest("[data-order]");
      const { say: answer, needs } = el.dataset;
      const name = el.textContent.trim();
      if (!needs) return say(card, answer, name);
      const dialog = document.getElementById(`say-${needs === "read_back" ? "read_back" : answer}`);
      spoken = { card: { dataset: { ...card.dataset } }, answer, name };
      dialog.querySelector("[data-fill-title]").textContent = card.dataset.title;
      dialog.querySelector("[data-fill-done-when]").textContent =
        needs === "read_back" ? card.querySelector("[data-done-when]")?.textContent ?? "" : "";
      dialog.showModal();
      dialog.querySelector("select, textarea").focus();
    } else if ("quick" in el.dataset) {
      const text = el.closest("form").querySelector("textarea");
      text.value = text.value.trim() ? `${text.value.trim()}; ${el.textContent.trim()}` : el.textContent.trim();
      text.focus();
    } else if ("flush" in el.dataset) flush();
    else if ("dismiss" in el.dataset) {
      const box = document.getElementById("turned-down");
      box.hidden = true;
      box.querySelector("ul").replaceChildren();
    } else if (on() && sound?.state === "running") {
      localStorage.setItem(ALERTS, "off");
      label();
    } else {
      localStorage.setItem(ALERTS, "on");
      allow().then(() => beep(NOTICE));
    }
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || !("sayForm" in form.dataset)) return;
    event.preventDefault();
    if (!spoken) return;
    const { card, answer, name } = spoken;
    spoken = null;
    say(card, answer, name, muster.body(form));
    form.closest("dialog").close();
    form.reset();
  });

  document.addEventListener("DOMContentLoaded", () => {
    label();
    look();
    flush();
    document.body.addEventListener("htmx:afterSettle", look);
    document.body.addEventListener("muster:live", (event) => {
      lost = event.detail.state === "lost";
      if (!lost) failed = false;
      away();
      if (!lost) flush();
    });
    addEventListener("online", () => { failed = false; away(); flush(); });
    addEventListener("offline", away);
    document.addEventListener("visibilitychange", () => { if (!document.hidden) flush(); });
    setInterval(() => { if (mine().length) flush(); }, TRY_EVERY);
    if (on()) document.addEventListener("pointerdown", allow, { once: true });
    navigator.serviceWorker?.register(`${muster.root}/sw.js`).catch(() => { /* an old browser, or no secure context */ });
  });
})();
