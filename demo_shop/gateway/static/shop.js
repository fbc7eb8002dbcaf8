// Small comforts; every page works without them.
"use strict";

// A form is sent once: what is pressed twice in a hurry was meant once.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  if (form.method !== "post") return;
  form.dataset.sent = "yes";
  // After the browser has taken the pressed button's value into the form's data.
  setTimeout(() => {
    for (const button of form.querySelectorAll("button")) button.disabled = true;
  });
});

// Coming back by the back button must find living forms.
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const form of document.querySelectorAll("form")) delete form.dataset.sent;
  for (const button of document.querySelectorAll("button")) button.disabled = false;
});

// While an order's outcome is not known, ask again by ourselves: the form carries the order's one key.
for (const form of document.querySelectorAll("form[data-again]")) setTimeout(() => form.requestSubmit(), 3000);

// Sorting and quantities apply as soon as they are chosen.
document.addEventListener("change", (event) => {
  const field = event.target;
  if (field.matches("[data-apply]") && field.checkValidity()) field.form.requestSubmit();
});
