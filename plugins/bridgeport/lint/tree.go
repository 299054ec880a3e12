// Package lint finds mistakes and doubtful choices in network configurations, with line and column.
package lint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// value is a JSON value with its place in the file.
type value struct {
	at     int // offset of the value, in bytes
	key    int // offset of its key; at where it has none
	name   string
	kids   []*value // of an object or a list
	object bool
	scalar any
}

// kid finds an object's member; nil without one. Keys match as package json has it.
func (v *value) kid(name string) *value {
	if v == nil || !v.object {
		return nil
	}
	for _, k := range v.kids {
		if strings.EqualFold(k.name, name) {
			return k
		}
	}
	return nil
}

func (v *value) text() string {
	if v == nil {
		return ""
	}
	s, _ := v.scalar.(string)
	return s
}

func (v *value) truth() bool { return v != nil && v.scalar == true }

// find follows a path such as "ipam.ranges[0][1].subnet" as far as it goes.
func (v *value) find(path string) *value {
	for _, step := range strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		next := v.kid(step)
		if i, err := strconv.Atoi(step); err == nil && !v.object && i < len(v.kids) {
			next = v.kids[i]
		}
		if next == nil {
			break
		}
		v = next
	}
	return v
}

// parse reads the whole file. A syntax error has its offset.
func parse(data []byte) (*value, int, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	v, err := parser{d, data}.value()
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			return v, skip(data, int(d.InputOffset())), errors.New("there is more behind the end of the configuration")
		}
		return v, 0, nil
	}
	// Only a Decoder that reads the whole value counts up to the very character, and tells the
	// end of the file from any other mistake.
	var raw json.RawMessage
	err = json.NewDecoder(bytes.NewReader(data)).Decode(&raw)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return nil, max(0, int(syntax.Offset)-1), err
	}
	if err != nil {
		return nil, len(bytes.TrimRight(data, " \t\r\n")), errors.New("the file ends too early: a bracket or brace is not closed")
	}
	return nil, int(d.InputOffset()), nil
}

type parser struct {
	*json.Decoder
	data []byte
}

func (p parser) value() (*value, error) {
	at := skip(p.data, int(p.InputOffset()))
	token, err := p.Token()
	if err != nil {
		return nil, err
	}
	v := &value{at: at, key: at, scalar: token}
	delim, ok := token.(json.Delim)
	if !ok {
		return v, nil
	}
	v.object, v.scalar = delim == '{', nil
	for p.More() {
		key := skip(p.data, int(p.InputOffset()))
		if v.object {
			if token, err = p.Token(); err != nil {
				return nil, err
			}
		}
		kid, err := p.value()
		if err != nil {
			return nil, err
		}
		if v.object {
			kid.key, kid.name = key, fmt.Sprint(token)
		}
		v.kids = append(v.kids, kid)
	}
	_, err = p.Token()
	return v, err
}

// skip is the offset of the next token: behind space, comma and colon.
func skip(data []byte, at int) int { return len(data) - len(bytes.TrimLeft(data[at:], " \t\r\n,:")) }

// place is line and column of an offset, both from 1; columns count characters.
func place(data []byte, at int) (line, column int) {
	before := data[:min(at, len(data))]
	line = 1 + bytes.Count(before, []byte("\n"))
	return line, 1 + len([]rune(string(before[bytes.LastIndexByte(before, '\n')+1:])))
}
