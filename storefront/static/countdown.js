"use strict";
// The clock time stands in the page already; this only adds how much of it is left.
for (const place of document.querySelectorAll(".countdown")) {
  const until = Date.parse(place.dataset.until);
  if (Number.isNaN(until)) continue;
  const show = () => {
    const seconds = Math.ceil((until - Date.now()) / 1000);
    if (seconds <= 0) {
      place.textContent = place.dataset.over;
      clearInterval(ticking);
      return;
    }
    const time = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    place.textContent = place.dataset.left.replace("{time}", time);
  };
  const ticking = setInterval(show, 1000);
  show();
}
