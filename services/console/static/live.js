/* One stream for the page: a steady sign while it lives, a loud one when it doesn't, and events for what to redraw.
   A page that nobody sees lets go of its stream and takes it up again where it stopped: a browser holds six connections
   to a site, and a seventh page would wait for ever. One that calls people (data-live-unseen) keeps it. */
(() => {
  "use strict";
  const SILENT_AFTER = 7_000; /* three beats of the server's two seconds, and some */
  const MERGE_WITHIN = 250;
  const UNSEEN_FOR = 20_000;
  document.addEventListener("DOMContentLoaded", () => {
    const url = document.body.dataset.live;
    if (!url) return;
    const sign = document.getElementById("live");
    const lost = document.getElementById("lost");
    const words = document.body.dataset;
    let heard = Date.now();
    let source, last;
    const show = (state, text) => {
      if (sign.dataset.state !== state) {
        sign.dataset.state = state;
        sign.lastElementChild.textContent = text;
        document.body.dispatchEvent(new CustomEvent("muster:live", { detail: { state } }));
      }
    };
    const alive = (event) => {
      heard = Date.now();
      last = event.lastEventId || last;
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
      const from = new URL(url, location.href);
      if (last) from.searchParams.set("after", last);
      source = new EventSource(from);
      source.addEventListener("alive", alive);
      source.addEventListener("entry", (event) => {
        alive(event);
        const entry = JSON.parse(event.data);
        document.body.dispatchEvent(new CustomEvent("muster:entry", { detail: entry }));
        changed(entry);
      });
      source.addEventListener("reset", (event) => {
        alive(event);
        document.body.dispatchEvent(new CustomEvent("muster:changed", { detail: { incidents: [] } }));
      });
      source.onerror = (event) => {
        if (event.target === source && source.readyState === EventSource.CLOSED) setTimeout(connect, 2_000);
      };
    };
    const letGo = () => {
      source?.close();
      source = null;
      show("waiting", words.waitWord);
    };
    const takeUp = () => {
      if (source) return;
      heard = Date.now();
      connect();
    };
    takeUp();
    let leaving;
    document.addEventListener("visibilitychange", () => {
      clearTimeout(leaving);
      if (!document.hidden) takeUp();
      else if (!("liveUnseen" in words)) leaving = setTimeout(letGo, UNSEEN_FOR);
    });
    setInterval(() => {
      if (!source || Date.now() - heard < SILENT_AFTER) return;
      const since = new Intl.DateTimeFormat(document.documentElement.lang, { timeStyle: "medium", hour12: false }).format(heard);
      lost.textContent = `${words.lost} ${since}`;
      lost.hidden = false;
      show("lost", since);
    }, 1_000);
    addEventListener("offline", () => { heard = Math.min(heard, Date.now() - SILENT_AFTER); });
    addEventListener("pagehide", letGo);
    addEventListener("pageshow", takeUp);
  });
})();
