// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"io"
	"strings"

	"golang.org/x/net/html"
)

// theme hides what leads to views that are off, and adds a dark side.
//
//go:embed theme.css
var theme string

// seal adds the theme to a page and makes the policy under which just its own
// scripts and styles work. A page with another number of scripts than its view has
// is not shown: then a name has become code.
func seal(page []byte, scripts int) (*Page, error) {
	head := []byte("</head>")
	if bytes.Count(page, head) != 1 {
		return nil, fmt.Errorf("a page of pprof does not look as it should")
	}
	page = bytes.Replace(page, head, []byte("<style>"+theme+"</style></head>"), 1)
	hashes, err := inline(page)
	if err != nil {
		return nil, err
	}
	if n := len(hashes["script"]); n != scripts {
		return nil, fmt.Errorf("a page of pprof has %d scripts, want %d", n, scripts)
	}
	return &Page{Body: page, Policy: "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; " +
		"frame-ancestors 'none'; script-src " + strings.Join(hashes["script"], " ") +
		"; style-src " + strings.Join(hashes["style"], " ")}, nil
}

// inline are the hashes of all elements of a page that are scripts or styles.
func inline(page []byte) (map[string][]string, error) {
	hashes := map[string][]string{}
	z := html.NewTokenizer(bytes.NewReader(page))
	for {
		switch z.Next() {
		case html.ErrorToken:
			if err := z.Err(); err != io.EOF {
				return nil, fmt.Errorf("read a page of pprof: %w", err)
			}
			return hashes, nil
		case html.StartTagToken:
			name, _ := z.TagName()
			element := string(name)
			if element != "script" && element != "style" {
				continue
			}
			var content []byte
			if z.Next() == html.TextToken {
				content = z.Raw()
			}
			sum := sha256.Sum256(content)
			hashes[element] = append(hashes[element], "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
		}
	}
}
