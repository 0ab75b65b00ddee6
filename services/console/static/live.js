/* One stream for the page: a steady sign while it lives, a loud one when it doesn't, and events for what to redraw. */
(() => {
  "use strict";
  const SILENT_AFTER = 7_000; /* three beats of the server's two seconds, and some */
  const MERGE_WITHIN = 250;
  document.addEventListener("DOMContentLoaded", () => {
    const url = document.body.dataset.live;
    if (!url) return;
    const sign = document.getElementById("live");
    const lost = document.getElementById("lost");
    const words = document.body.dataset;
    let heard = Date.now();
    let source;
    const show = (state, text) => {
      if (sign.dataset.state !== state) {
        sign.dataset.state = state;
        sign.lastElementChild.textContent = text;
        document.body.dispatchEvent(new CustomEvent("muster:live", { detail: { state } }));
      }
    };
    const alive = (event) => {
      heard = Date.now();
      lost.hidden = true;
      show("live", words.liveWord);
      sign.dataset.beat = sign.dataset.beat === "1" ? "0" : "1";
      try {
        const told = JSON.parse(event.data);
        if (told.now) window.muster.skew = Date.parse(told.now) - heard;
      } catch { /* an entry, which tells no time of its own */ }
    };
    const waiting = new Set();
    const changed = (entry) => {
      if (!waiting.size) setTimeout(() => {
        const incidents = [...waiting];
        waiting.clear();
        document.body.dispatchEvent(new CustomEvent("muster:changed", { detail: { incidents } }));
        for (const id of incidents) document.body.dispatchEvent(new CustomEvent(`muster:incident-${id}`));
      }, MERGE_WITHIN);
      waiting.add(entry.incident_id);
    };
    const connect = () => {
      source = new EventSource(url);
      source.addEventListener("alive", alive);
      source.addEventListener("entry", (event) => {
        alive(event);
        const entry = JSON.parse(event.data);
        document.body.dispatchEvent(new CustomEvent("muster:entry", { detail: entry }));
        changed(entry);
      });
      source.onerror = () => { if (source.readyState === EventSource.CLOSED) setTimeout(connect, 2_000); };
    };
    connect();
    setInterval(() => {
      if (Date.now() - heard < SILENT_AFTER) return;
      const since = new Intl.DateTimeFormat(document.documentElement.lang, { timeStyle: "medium", hour12: false }).format(heard);
      lost.textContent = `${words.lost} ${since}`;
      lost.hidden = false;
      show("lost", since);
    }, 1_000);
    addEventListener("offline", () => { heard = Math.min(heard, Date.now() - SILENT_AFTER); });
    addEventListener("pagehide", () => source.close());
  });
})();
