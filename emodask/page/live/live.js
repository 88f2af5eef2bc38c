// Keeps an open page as its job is, and says aloud now and then what has changed.
"use strict";

(() => {
  const QUIET = 10000; // ms between two sentences that are said aloud, unless something failed
  const AGAIN = 5000; // ms until a server that refused is asked again

  const of = (id) => document.getElementById(id);
  const run = document.body.dataset.run;
  let urgent = "";
  let spoken = Date.now();

  function say(sentence, news) {
    if (news !== urgent || Date.now() - spoken >= QUIET) {
      if (of("said").textContent !== sentence) of("said").textContent = sentence;
      spoken = Date.now();
      urgent = news;
    }
  }

  function show(news) {
    for (const [name, value] of Object.entries(news)) {
      if (!name.startsWith("part-")) continue;
      of(name.slice("part-".length)).innerHTML = value; // escaped where it was written
    }
    document.title = news.title;
    const bar = of("bar");
    bar.setAttribute("aria-label", news.bar);
    bar.hidden = news.outcome !== "running";
    if (news.progress) [bar.value, bar.max] = [0, news.progress[1]];
    if (news.progress) bar.value = news.progress[0];
    else bar.removeAttribute("value");
    say(news.sentence, news.urgent);
  }

  function listen() {
    const source = new EventSource("events");
    source.onmessage = (message) => {
      const news = JSON.parse(message.data);
      if (news.run !== run) {
        source.close();
        location.reload(); // another job has taken the port
        return;
      }
      of("lost").hidden = true;
      show(news);
      if (news.outcome !== "running") source.close();
    };
    source.onerror = () => {
      of("lost").hidden = false;
      if (source.readyState === EventSource.CLOSED) setTimeout(listen, AGAIN);
    };
  }

  listen();
})();
