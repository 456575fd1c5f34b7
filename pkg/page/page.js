
(function () {
	"use strict";
	const every = 5000, patience = 8000;
	const parts = new Map(); // what the daemon last said, by id
	let running = false, timer = 0;
	for (const part of document.querySelectorAll("[data-part]")) parts.set(part.id, part.innerHTML);
	document.documentElement.classList.add("scripted");

	// put takes what has changed out of a newer page. A part that is the same
	// stays, and with it what is selected in it.
	function put(fresh) {
		document.title = fresh.title;
		for (const next of fresh.querySelectorAll("[data-part]")) {
			const part = document.getElementById(next.id);
			if (!part || parts.get(next.id) === next.innerHTML) continue;
			const buttons = function () { return Array.from(part.querySelectorAll("button")); };
			const focused = buttons().indexOf(document.activeElement);
			parts.set(next.id, next.innerHTML);
			part.replaceChildren(...next.childNodes);
			if (focused >= 0 && buttons()[focused]) buttons()[focused].focus();
		}
	}

	// stale says that what is shown is old, and why. It is said once.
	function stale(why) {
		const banner = document.getElementById("stale"), time = document.querySelector("#looked time");
		const text = why + (why && time ? " What is shown below is from " + time.textContent + "." : "");
		if (banner.textContent !== text) banner.textContent = text;
		banner.hidden = why === "";
		document.body.classList.toggle("stale", why !== "");
	}

	async function look() {
		if (running) return;
		running = true;
		clearTimeout(timer);
		const abort = new AbortController();
		const end = setTimeout(function () { abort.abort(); }, patience);
		try {
			const reply = await fetch(location.pathname, {cache: "no-store", signal: abort.signal});
			const fresh = new DOMParser().parseFromString(await reply.text(), "text/html");
			const headline = fresh.querySelector("#headline h1");
			if (reply.ok && headline) {
				put(fresh);
				stale("");
			} else if (headline) {
				stale("There is no new picture: " + headline.lastElementChild.lastChild.textContent.trim() + ".");
			} else {
				stale("There is no new picture: the answer was " + reply.status + ".");
			}
		} catch (err) {
			stale("The daemon does not answer.");
		} finally {
			clearTimeout(end);
			running = false;
			if (!document.hidden) timer = setTimeout(look, every);
		}
	}

	// copy works everywhere; the clipboard's own interface only over TLS and on
	// this machine.
	async function copy(button) {
		const code = button.parentElement.querySelector("code"), told = document.getElementById("told");
		const range = document.createRange();
		range.selectNodeContents(code);
		getSelection().removeAllRanges();
		getSelection().addRange(range);
		let done = false;
		try {
			if (navigator.clipboard) {
				await navigator.clipboard.writeText(code.textContent);
				done = true;
			} else {
				done = document.execCommand("copy");
			}
		} catch (err) {
			done = false;
		}
		told.textContent = done ? "Copied." : "Not copied: the command is selected.";
		button.textContent = done ? "Copied" : "Selected";
		setTimeout(function () { button.textContent = "Copy"; told.textContent = ""; }, 3000);
	}

	document.addEventListener("click", function (event) {
		const button = event.target.closest("button.copy");
		if (button) copy(button);
	});
	document.addEventListener("visibilitychange", function () { if (!document.hidden) look(); });
	timer = setTimeout(look, every);
})();
