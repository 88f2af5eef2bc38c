// Ties a verdict's timeline to its player: the cursor follows, clicks and keys seek.
const clock = (seconds) => {
  const whole = Math.floor(seconds); // as players count
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
};

const connect = () => {
  const slider = element.querySelector(".timeline");
  if (!slider || slider.dataset.connected) return;
  slider.dataset.connected = "yes";
  const player = element.querySelector(".player");
  const cursor = slider.querySelector(".cursor");
  const nowTime = element.querySelector(".now-time");
  const nowWords = element.querySelector(".now-words");
  const steps = JSON.parse(slider.dataset.steps);
  const end = Number(slider.dataset.end);
  let place = 0;

  const show = (seconds) => {
    place = Math.min(Math.max(seconds, 0), end);
    const step = steps.find(([, stop]) => place < stop) ?? steps[steps.length - 1];
    cursor.style.left = `${(100 * place) / end}%`;
    nowTime.textContent = clock(place);
    nowWords.textContent = step[2];
    slider.setAttribute("aria-valuenow", place.toFixed(2));
    slider.setAttribute("aria-valuetext", `${clock(place)}: ${step[2]}`);
  };
  const seek = (seconds) => {
    show(seconds);
    if (!player.error) player.currentTime = place;
  };
  const follow = () => {
    if (!player.isConnected) return;
    show(player.currentTime);
    if (!player.paused && !player.ended) requestAnimationFrame(follow);
  };

  player.addEventListener("play", follow);
  player.addEventListener("timeupdate", () => show(player.currentTime));
  player.addEventListener("error", () => {
    player.hidden = true;
    element.querySelector(".unplayable").hidden = false;
  });

  const under = (event) => {
    const box = slider.getBoundingClientRect();
    return (end * (event.clientX - box.left)) / box.width;
  };
  slider.addEventListener("pointerdown", (event) => {
    slider.setPointerCapture(event.pointerId);
    seek(under(event));
  });
  slider.addEventListener("pointermove", (event) => {
    if (slider.hasPointerCapture(event.pointerId)) seek(under(event));
  });
  const large = Math.max(end / 10, 1);
  const moves = {
    ArrowRight: () => place + 0.5, ArrowUp: () => place + 0.5,
    ArrowLeft: () => place - 0.5, ArrowDown: () => place - 0.5,
    PageUp: () => place + large, PageDown: () => place - large,
    Home: () => 0, End: () => end,
  };
  slider.addEventListener("keydown", (event) => {
    if (event.key === " ") {
      if (player.paused) player.play(); else player.pause();
    } else if (moves[event.key]) {
      seek(moves[event.key]());
    } else {
      return;
    }
    event.preventDefault();
  });
};

// Whoever waits for the verdict is led to it; whoever went elsewhere stays there.
const lead = () => {
  const heading = element.querySelector(".verdict h2");
  const active = document.activeElement;
  if (heading && (!active || active === document.body || active.closest(".judge-button"))) {
    heading.focus();
  }
};

watch("value", () => { connect(); lead(); });
connect();
