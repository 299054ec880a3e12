package cni

import (
	"bytes"
	"encoding/json"
	"slices"
)

// members are those of an object, in their order, behind those of list. elements are those of an array.
// The text must be valid. encoding/json takes 4 µs for an object of three members, members takes 0.2.
func members(list []member, object []byte) []member {
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

func elements(list []json.RawMessage, array []byte) []json.RawMessage {
	for i := begin(array, 0) + 1; ; {
		i = begin(array, i)
		if array[i] == ']' {
			return list
		}
		to := end(array, i)
		list = append(list, array[i:to:to])
		i = to
	}
}

// text is a JSON string without its quotes; nil for another value.
func text(value []byte) []byte {
	if len(value) < 2 || value[0] != '"' {
		return nil
	}
	plain := value[1 : len(value)-1]
	if !slices.ContainsFunc(plain, func(c byte) bool { return c == '\\' || c > '~' }) {
		return plain
	}
	var text string
	_ = json.Unmarshal(value, &text) // it is valid
	return []byte(text)
}

// begin is where the next value, or the end of the object or list, begins.
func begin(text []byte, i int) int {
	for {
		switch text[i] {
		case ' ', '\t', '\r', '\n', ',', ':':
			i++
		default:
			return i
		}
	}
}

// end is what follows the value that begins at i.
func end(text []byte, i int) int {
	for depth := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			i = endOfString(text, i)
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

// endOfString is where the string that begins at i ends: at a quote behind an even number of backslashes.
func endOfString(text []byte, i int) int {
	for {
		i += 1 + bytes.IndexByte(text[i+1:], '"')
		n := i
		for text[n-1] == '\\' {
			n--
		}
		if (i-n)%2 == 0 {
			return i
		}
	}
}
