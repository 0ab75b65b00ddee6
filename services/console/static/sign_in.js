/* The door: signs in or changes the password, and says in the person's language what was wrong. */
(() => {
  "use strict";
  const problemOf = (form, told) => {
    const kind = (told.type ?? "").split(":").pop().replace(/-(\w)/g, (_, letter) => letter.toUpperCase());
    const seconds = (told.detail ?? "").match(/(\d+) s$/)?.[1] ?? "";
    return (form.dataset[kind] ?? told.detail ?? told.title ?? "?").replace("{s}", seconds);
  };
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || !form.dataset.enter) return;
    event.preventDefault();
    if (form.dataset.busy) return;
    form.dataset.busy = "1";
    const problem = form.querySelector(".problem");
    problem.textContent = "";
    try {
      const { ok, told } = await window.muster.send("POST", form.dataset.enter, window.muster.body(form));
      if (ok) {
        location.assign(form.dataset.then);
        return;
      }
      problem.textContent = problemOf(form, told);
      form.querySelector("input[type=password], input[data-shown]")?.select();
    } catch {
      problem.textContent = document.body.dataset.offline;
    } finally {
      delete form.dataset.busy;
    }
  });
  document.addEventListener("change", (event) => {
    if (!event.target.matches?.("[data-show]")) return;
    for (const field of event.target.form.querySelectorAll("input[type=password], input[data-shown]")) {
      field.toggleAttribute("data-shown", event.target.checked);
      field.type = event.target.checked ? "text" : "password";
    }
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-fill]");
    if (!button) return;
    const form = document.querySelector("form[data-enter]");
    form.elements.login.value = button.dataset.fill;
    form.elements.password.value = button.dataset.password;
    form.requestSubmit();
  });
})();
