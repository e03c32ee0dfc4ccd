/** What the page gives to whoever drives it. */
declare const frazil: import("../../examples/demo/page/app.js").Frazil;
