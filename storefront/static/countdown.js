"use strict";
// The clock time stands in the page already; this only adds how much of it is left. The
// seconds are the shop's: the visitor's clock may be wrong.
for (const place of document.querySelectorAll(".countdown")) {
  const end = Date.now() + 1000 * Number(place.dataset.seconds);
  const show = () => {
    const seconds = Math.ceil((end - Date.now()) / 1000);
    if (seconds <= 0) {
      clearInterval(ticking);
      // The page still says that everything is held; the cart says how it is now.
      location.replace(place.dataset.over);
      return;
    }
    const time = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    place.textContent = place.dataset.left.replace("{time}", time);
  };
  const ticking = setInterval(show, 1000);
  show();
}
