/* Keeps the shell on the phone, so that the app opens without a connection and says so. `SHELL` is written before this
   by the server. Orders, answers and everything else under /v1 or in a page are never kept: an old order shown as if it
   were fresh would be worse than none. */
const KEEP = `muster-shell-${SHELL.version}-${new URL(registration.scope).pathname}`;

self.addEventListener("install", (event) => {
  event.waitUntil((async () => {
    const cache = await caches.open(KEEP);
    await cache.addAll([new Request(SHELL.offline, { credentials: "omit", cache: "reload" }), ...SHELL.files]);
    await self.skipWaiting();
  })());
});

self.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    const mine = new URL(registration.scope).pathname;
    for (const name of await caches.keys()) {
      if (name.startsWith("muster-shell-") && name.endsWith(`-${mine}`) && name !== KEEP) await caches.delete(name);
    }
    await self.clients.claim();
  })());
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET") return;
  const url = new URL(request.url);
  if (url.origin !== location.origin || SHELL.elsewhere.some((path) => url.pathname.startsWith(path))) return;
  if (request.mode === "navigate") {
    event.respondWith(fetch(request).catch(async () => (await caches.match(SHELL.offline)) ?? Response.error()));
  } else if (url.pathname.startsWith("/static/") && url.searchParams.has("v")) {
    /* Its address changes with its content, so what is kept is what it is. */
    event.respondWith((async () => {
      const cache = await caches.open(KEEP);
      const kept = await cache.match(request);
      if (kept) return kept;
      const answer = await fetch(request);
      if (answer.ok) await cache.put(request, answer.clone());
      return answer;
    })());
  }
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil((async () => {
    const target = event.notification.data?.url ?? registration.scope;
    for (const client of await self.clients.matchAll({ type: "window" })) {
      if (client.url === target) return client.focus();
    }
    return self.clients.openWindow(target);
  })());
});
