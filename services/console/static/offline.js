/* Shown instead of a page that can't be fetched: says what waits on this device, and tries again by itself. */
(() => {
  "use strict";
  const AGAIN_AFTER = 3_000;
  const again = () => location.reload();
  document.addEventListener("DOMContentLoaded", () => {
    let waiting = [];
    try { waiting = JSON.parse(localStorage.getItem(`muster.waiting:${window.muster.root || "/"}`)) ?? []; } catch { /* nothing is kept */ }
    const kept = document.getElementById("kept");
    kept.hidden = !waiting.length;
    for (const count of kept.querySelectorAll("b")) count.textContent = String(waiting.length);
    document.querySelector("[data-again]").addEventListener("click", again);
    addEventListener("online", again);
    setInterval(async () => {
      try {
        if ((await fetch(`${window.muster.root}/offline`, { cache: "no-store" })).ok) again();
      } catch { /* still away */ }
    }, AGAIN_AFTER);
  });
})();
