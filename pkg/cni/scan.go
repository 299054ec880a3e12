package cni

import (
	"encoding/json"
	"strings"
)

// members are those of an object, in their order. elements are those of a list. The text must be valid.
// encoding/json takes 4 µs for an object of three members, members takes 0.3.
func members(object []byte) (list []member) {
	for i := begin(object, 0) + 1; ; {
		i = begin(object, i)
		if object[i] == '}' {
			return list
		}
		to := end(object, i)
		key := text(object[i:to])
		i = begin(object, to)
		to = end(object, i)
		list = append(list, member{key, object[i:to:to]})
		i = to
	}
}

func elements(list []byte) (values []json.RawMessage) {
	for i := begin(list, 0) + 1; ; {
		i = begin(list, i)
		if list[i] == ']' {
			return values
		}
		to := end(list, i)
		values = append(values, list[i:to:to])
		i = to
	}
}

// text is a JSON string without its quotes; "" for another value.
func text(value []byte) (text string) {
	if len(value) < 2 || value[0] != '"' {
		return ""
	}
	text = string(value[1 : len(value)-1])
	if strings.ContainsFunc(text, func(r rune) bool { return r == '\\' || r > '~' }) {
		_ = json.Unmarshal(value, &text) // it is valid
	}
	return text
}

// begin is where the next value, or the end of the object or list, begins.
func begin(text []byte, i int) int {
	for strings.IndexByte(" \t\r\n,:", text[i]) >= 0 {
		i++
	}
	return i
}

// end is what follows the value that begins at i.
func end(text []byte, i int) int {
	for depth := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			for i++; text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			depth++
			continue
		case '}', ']':
			if depth--; depth < 0 { // of what a number or a word stands in
				return i
			}
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
			continue
		default:
			continue
		}
		if depth == 0 {
			return i + 1
		}
	}
	return i
}
