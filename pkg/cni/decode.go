package cni

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
)

// member is a key of a JSON object with its value. A key may come twice.
type member struct {
	key   []byte
	value json.RawMessage
}

// Decode is json.Unmarshal of the configuration into a struct, with errors that name the
// key, the wrong value's kind and the right one. Keys match without regard to case, as
// containerd sends them. After an error all that could be read is there. Structs may embed
// others, not pointers to them. Fields without a tag are left alone.
//
// The first call parses the text, and keeps its members for the calls that follow.
func (req *Request) Decode(into any) (err error) {
	if req.members == nil {
		if req.members, err = split(req.Config, place{}); err != nil {
			return err
		}
	}
	return fill(reflect.ValueOf(into).Elem(), req.members, make(place, 0, 8))
}

// place is where a value stands: keys, and entries of lists. It is a sentence's subject, which most texts
// never need.
type place []step

type step struct {
	key   string // "" of an entry
	index int
}

// String is the place for people: "ipam.ranges[0]".
func (p place) String() string {
	var b strings.Builder
	for i, s := range p {
		switch {
		case s.key == "":
			fmt.Fprintf(&b, "[%d]", s.index)
		case i > 0:
			b.WriteString("." + s.key)
		default:
			b.WriteString(s.key)
		}
	}
	return b.String()
}

// split checks the text of the object at a place, and returns its members.
func split(text []byte, at place) ([]member, error) {
	if !json.Valid(text) || text[begin(text, 0)] != '{' {
		if err := json.Unmarshal(text, new(struct{})); err != nil {
			return nil, inWords(at, err)
		}
		return nil, nil // null
	}
	return members(nil, text), nil
}

// fill sets the fields of a struct. It goes on after an error, as json.Unmarshal does, and
// returns the first one.
//
// json.Unmarshal builds codecs for every field of a struct, used or not: 85 µs, 2.6 % of an
// ADD, since each process reads once.
func fill(into reflect.Value, object []member, in place) (first error) {
	list := fields(into.Type())
	strict, _ := into.Addr().Interface().(Strict)
	var given uint64 // of a strict one, which has fewer than 64 fields
	for _, m := range object {
		known := strict == nil
		for i, f := range list {
			if f.key == "" || f.key != string(m.key) && !strings.EqualFold(f.key, string(m.key)) {
				continue
			}
			known = true
			at := append(in, step{key: f.key})
			if strict != nil {
				if first == nil && (given&(1<<i) != 0 || m.value[0] == 'n') {
					first = Errorf(CodeConfig, "%s: is given twice, or is null: give it once, or leave it out", at.String())
				}
				given |= 1 << i
			}
			if err := fillValue(into.FieldByIndex(f.index), m.value, at); first == nil {
				first = err
			}
		}
		if !known && first == nil {
			first = strict.Unknown(string(m.key))
		}
	}
	return first
}

// Strict is a struct that takes no key that it has no field for, none twice and none that is null.
type Strict interface {
	// Unknown is the error for such a key.
	Unknown(key string) error
}

// field is a field of a struct with its key, "" without a tag.
type field struct {
	key   string
	index []int
}

// seen are the fields of the types that were filled: lists have many structs of a type.
var seen sync.Map

func fields(of reflect.Type) (list []field) {
	if known, ok := seen.Load(of); ok {
		return known.([]field)
	}
	for i := range of.NumField() {
		f := of.Field(i)
		if f.Anonymous {
			for _, inner := range fields(f.Type) {
				list = append(list, field{inner.key, append([]int{i}, inner.index...)})
			}
			continue
		}
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		list = append(list, field{key, f.Index})
	}
	seen.Store(of, list)
	return list
}

func fillValue(into reflect.Value, value json.RawMessage, at place) error {
	if into.Kind() == reflect.Pointer && into.Type().Elem().Kind() == reflect.Struct && value[0] == '{' {
		if into.IsNil() {
			into.Set(reflect.New(into.Type().Elem()))
		} else if _, strict := into.Interface().(Strict); strict {
			return Errorf(CodeConfig, "%s: is given twice: give it once", at.String())
		}
		into = into.Elem()
	}
	own, _ := into.Addr().Interface().(json.Unmarshaler)
	switch kind := into.Kind(); {
	case own != nil && kind != reflect.Pointer:
		return inWords(at, own.UnmarshalJSON(value))
	case kind == reflect.Struct && value[0] == '{':
		var few [8]member
		return fill(into, members(few[:0], value), at)
	case kind == reflect.String && value[0] == '"':
		into.SetString(string(text(value)))
		return nil
	case kind == reflect.Slice && value[0] == '[' && into.Type().Elem().Kind() != reflect.Uint8:
		return fillList(into, value, at)
	}
	return inWords(at, json.Unmarshal(value, into.Addr().Interface()))
}

func fillList(into reflect.Value, value json.RawMessage, in place) (first error) {
	var few [8]json.RawMessage
	values := elements(few[:0], value)
	into.Set(reflect.MakeSlice(into.Type(), len(values), len(values)))
	for i, v := range values {
		if err := fillValue(into.Index(i), v, append(in, step{index: i})); first == nil {
			first = err
		}
	}
	return first
}

// inWords translates an error of encoding/json into one that names the key below at.
func inWords(at place, err error) error {
	var own *Error
	var te *json.UnmarshalTypeError
	switch {
	case err == nil || errors.As(err, &own): // a type's own parser has named the key
		return err
	case errors.As(err, &te):
	case len(at) == 0:
		return Errorf(CodeDecode, "network configuration: not valid JSON: %w", err)
	default:
		return Errorf(CodeDecode, "%s: %w", at.String(), err)
	}
	key := cmp.Or(strings.Trim(at.String()+"."+te.Field, "."), "network configuration")
	have := "a " + te.Value
	if strings.Contains("ao", te.Value[:1]) { // array, object
		have = "an " + te.Value
	}
	return Errorf(CodeDecode, "%s: wants %s, but has %s", key, kindName(te.Type), have)
}

func kindName(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		return kindName(t.Elem())
	}
	return cmp.Or(map[reflect.Kind]string{
		reflect.Bool: "true or false", reflect.String: "a string", reflect.Slice: "a list",
		reflect.Struct: "an object", reflect.Map: "an object",
	}[t.Kind()], "a whole number")
}
