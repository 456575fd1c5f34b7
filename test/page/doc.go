// Package page holds no code: its tests open the status page of drbdnfsd in
// Chromium without a screen, and leave screenshots in dist/page.
//
//	scripts/check-page
//
// The browser is the program that DRBDNFS_CHROMIUM names, or chromium in PATH.
// What only a browser can tell is tested here: that the page brings itself up to
// date, says when it cannot, asks for nothing but itself, breaks none of its own
// rules, follows the reader's choice of light or dark, and is no wider than a
// phone. What the page says is tested in pkg/page.
package page
