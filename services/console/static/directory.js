/* Narrows the directory to what is typed. */
(() => {
  "use strict";
  document.addEventListener("DOMContentLoaded", () => {
    const find = document.querySelector("[data-find]");
    const entries = [...document.querySelectorAll(find.dataset.find)].map((el) => [el, el.textContent.toLowerCase()]);
    find.addEventListener("input", () => {
      const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const [el, text] of entries) el.hidden = !words.every((word) => text.includes(word));
    });
  });
})();
