package page

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// palettes are the colours of page.css by name, light and dark.
func palettes(t *testing.T) [2]map[string]string {
	t.Helper()
	before, after, found := strings.Cut(style, "prefers-color-scheme: dark")
	if !found {
		t.Fatal("there is no dark palette")
	}
	var p [2]map[string]string
	for i, text := range []string{before, after} {
		p[i] = map[string]string{}
		for _, m := range regexp.MustCompile(`--(\w+): #([0-9a-f]{6});`).FindAllStringSubmatch(text, -1) {
			p[i][m[1]] = m[2]
		}
	}
	return p
}

// luminance is WCAG 2's relative luminance of a colour.
func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	rgb, err := strconv.ParseUint(hex, 16, 32)
	if err != nil {
		t.Fatalf("%q is no colour", hex)
	}
	var sum float64
	for i, weight := range []float64{0.0722, 0.7152, 0.2126} {
		c := float64(rgb>>(8*i)&0xff) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

// Ensure that text can be told from what is behind it: WCAG 2 asks for 4.5 to 1.
func TestContrast(t *testing.T) {
	pairs := map[string]string{
		"text": "ground card code", "dim": "ground card", "link": "ground card", "bad": "ground card", "warn": "card", "good": "card",
		"on": "good warn bad dim",
	}
	for i, p := range palettes(t) {
		for front, backs := range pairs {
			for back := range strings.FieldsSeq(backs) {
				a, b := luminance(t, p[front]), luminance(t, p[back])
				if ratio := (max(a, b) + 0.05) / (min(a, b) + 0.05); ratio < 4.5 {
					t.Errorf("palette %d: %s on %s has a contrast of %.1f", i, front, back, ratio)
				}
			}
		}
	}
}
