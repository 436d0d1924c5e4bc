"use strict";
// The clock time stands in the bar already; this adds how much of it is left, and says
// when it is over. The seconds are the shop's: the visitor's clock may be wrong.
for (const bar of document.querySelectorAll(".hold")) {
  const left = bar.querySelector(".countdown");
  const over = bar.querySelector(".over");
  let end = Date.now() + 1000 * Number(bar.dataset.seconds);
  // A page that the browser kept for later must not begin to count anew.
  const kept = Number(sessionStorage.getItem(bar.dataset.name));
  if (kept) end = Math.min(end, kept);
  sessionStorage.setItem(bar.dataset.name, end);

  const show = () => {
    const seconds = Math.ceil((end - Date.now()) / 1000);
    if (seconds > 0) {
      const time = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
      left.textContent = left.dataset.left.replace("{time}", time);
      return;
    }
    clearInterval(ticking);
    for (const place of document.querySelectorAll("[data-while-held]")) place.hidden = true;
    over.textContent = over.dataset.over;
  };
  const ticking = setInterval(show, 1000);
  document.addEventListener("visibilitychange", show);
  show();
}
