/* What every page needs: clocks, dialogs, language and theme, and sending a decision exactly once. */
(() => {
  "use strict";
  const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content ?? "";
  const language = document.documentElement.lang;
  const root = meta("root");

  /* Clocks: the server's time is learned from the stream (live.js), so a wrong clock in the browser does no harm. */
  const muster = (window.muster = { root, skew: 0, now: () => Date.now() + muster.skew });
  const pad = (n) => String(n).padStart(2, "0");
  muster.span = (ms) => {
    const s = Math.floor(Math.abs(ms) / 1000);
    const h = Math.floor(s / 3600), m = Math.floor((s % 3600) / 60);
    return h >= 48 ? `${Math.floor(h / 24)} d` : h ? `${h}:${pad(m)}:${pad(s % 60)}` : `${m}:${pad(s % 60)}`;
  };
  const forms = {
    short: { month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hour12: false },
    time: { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false },
    long: { dateStyle: "long", timeStyle: "medium", hour12: false },
  };
  const tick = (scope = document) => {
    const now = muster.now();
    for (const el of scope.querySelectorAll("[data-due]")) {
      const left = Date.parse(el.dataset.due) - now;
      const text = (left < 0 ? "+" : "") + muster.span(left);
      if (el.textContent !== text) el.textContent = text;
      el.toggleAttribute("data-late", left < 0);
      el.toggleAttribute("data-soon", left >= 0 && left < 60_000);
    }
    for (const el of scope.querySelectorAll("[data-since]")) {
      const text = muster.span(now - Date.parse(el.dataset.since));
      if (el.textContent !== text) el.textContent = text;
    }
  };
  const localise = (scope = document) => {
    for (const el of scope.querySelectorAll("time[data-when]:not([data-done])")) {
      const at = new Date(el.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      el.textContent = new Intl.DateTimeFormat(language, forms[el.dataset.when] ?? forms.short).format(at);
      el.title = at.toISOString();
      el.dataset.done = "1";
    }
    tick(scope);
  };
  muster.localise = localise;
  setInterval(tick, 1000);
  document.addEventListener("DOMContentLoaded", () => localise());
  document.addEventListener("htmx:load", (event) => localise(event.detail.elt));

  /* Toasts */
  muster.toast = (text, kind = "") => {
    const el = document.createElement("p");
    el.className = `toast ${kind}`;
    el.textContent = text;
    document.getElementById("toasts").append(el);
    setTimeout(() => el.remove(), kind === "bad" ? 12_000 : 5_000);
  };

  /* Sending. A form's key stays the same until the server has answered, so that a second tap or a lost answer
     does nothing twice. */
  const keys = new WeakMap();
  const value = (field) => {
    if (field.type === "checkbox" && field.dataset.type !== "list") return field.checked;
    const text = field.value.trim();
    if (text === "") return undefined;
    if (field.dataset.type === "number") return Number(text);
    if (field.dataset.type === "json") return JSON.parse(text);
    if (field.dataset.type === "lines") return text.split(/\n+/).map((line) => line.trim()).filter(Boolean);
    if (field.type === "datetime-local") return new Date(text).toISOString();
    return text;
  };
  muster.body = (form) => {
    const body = {};
    for (const field of form.elements) {
      if (!field.name || field.disabled || field.type === "submit" || field.type === "button") continue;
      if ((field.type === "radio" || (field.type === "checkbox" && field.dataset.type === "list")) && !field.checked) continue;
      const found = value(field);
      if (found === undefined) continue;
      const path = field.name.split(".");
      const last = path.pop();
      let into = body;
      for (const part of path) into = into[part] ??= {};
      if (field.dataset.type === "list") (into[last] ??= []).push(found);
      else if (field instanceof HTMLSelectElement && field.multiple) into[last] = [...field.selectedOptions].map((o) => o.value);
      else into[last] = found;
    }
    return body;
  };
  muster.send = async (method, url, body, { key = crypto.randomUUID(), type = "application/json" } = {}) => {
    const headers = { "Idempotency-Key": key, "X-CSRF-Token": meta("csrf"), Accept: "application/json" };
    if (body !== undefined) headers["Content-Type"] = type;
    const answer = await fetch(url, {
      method, headers, credentials: "same-origin",
      body: body === undefined ? undefined : type === "application/json" ? JSON.stringify(body) : body,
    });
    const told = (answer.headers.get("content-type") ?? "").includes("json") ? await answer.json() : {};
    return { ok: answer.ok, status: answer.status, told };
  };
  const problemOf = (form) => {
    let el = form.querySelector(".problem");
    if (!el) {
      el = document.createElement("p");
      el.className = "problem";
      el.setAttribute("role", "alert");
      form.append(el);
    }
    return el;
  };
  const go = (target, told) => target.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(told[name] ?? ""));
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || !form.dataset.send) return;
    event.preventDefault();
    if (form.dataset.busy) return;
    form.dataset.busy = "1";
    const problem = problemOf(form);
    problem.textContent = "";
    const body = muster.body(form);
    if (event.submitter?.name) body[event.submitter.name] = event.submitter.value;
    const said = JSON.stringify(body);
    let known = keys.get(form);
    if (!known || known.said !== said) keys.set(form, (known = { said, key: crypto.randomUUID() }));
    try {
      const method = form.dataset.method ?? "POST";
      const { ok, told } = await muster.send(method, form.dataset.send, method === "DELETE" ? undefined : body, { key: known.key });
      if (!ok) {
        problem.textContent = told.detail ?? told.title ?? "?";
        return;
      }
      keys.delete(form);
      form.dispatchEvent(new CustomEvent("muster:sent", { bubbles: true, detail: told }));
      const then = form.dataset.then ?? "close";
      form.closest("dialog")?.close();
      if (then === "reload") location.reload();
      else if (then.startsWith("/")) location.assign(go(then, told));
      else if (then === "close") {
        form.reset();
        muster.toast(form.dataset.done ?? document.body.dataset.sent);
      }
    } catch {
      problem.textContent = document.body.dataset.offline;
    } finally {
      delete form.dataset.busy;
    }
  });

  /* Dialogs, language, theme. */
  const keep = (name, text) => { document.cookie = `${name}=${text}; path=/; max-age=31536000; samesite=lax`; };
  document.addEventListener("click", (event) => {
    const el = event.target.closest("[data-open], [data-close], [data-set-language], [data-set-theme], [data-print]");
    if (!el) return;
    if (el.dataset.open) document.getElementById(el.dataset.open)?.showModal();
    else if ("close" in el.dataset) el.closest("dialog")?.close();
    else if (el.dataset.setLanguage) { keep("muster_language", el.dataset.setLanguage); location.reload(); }
    else if ("print" in el.dataset) window.print();
    else {
      const html = document.documentElement;
      const dark = html.dataset.theme === "dark" || (html.dataset.theme === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
      html.dataset.theme = dark ? "light" : "dark";
      keep("muster_theme", html.dataset.theme);
    }
  });
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("htmx:configRequest", (event) => { event.detail.headers["X-CSRF-Token"] = meta("csrf"); });
})();
