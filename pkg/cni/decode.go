package cni

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
)

// Decode is json.Unmarshal with errors that name the key, the wrong value's kind
// and the right one. Keys match without regard to case, as containerd sends them. After an
// error all that could be read is there. Structs must not embed others, and fields without a
// tag are left alone.
//
// Objects are taken apart here, so that encoding/json meets the values of the keys that
// somebody sent: it prepares for each field of a struct, with all that is in it, and for
// writing, too, which takes half of what JSON costs in a process that reads it once.
func Decode(data []byte, into any) error {
	v := reflect.ValueOf(into).Elem()
	if object := bytes.TrimLeft(data, space); isObject(v, object) && json.Valid(data) {
		return decodeObject(object, v, "")
	}
	return inWords("", json.Unmarshal(data, into))
}

// space is white space of JSON (RFC 8259, section 2).
const space = " \t\r\n"

// isObject says whether the value is an object for a struct without a parser of its own.
func isObject(v reflect.Value, value []byte) bool {
	if v.Kind() != reflect.Struct || !bytes.HasPrefix(value, []byte("{")) {
		return false
	}
	_, own := v.Addr().Interface().(json.Unmarshaler)
	return !own
}

// decodeObject reads all that it can, as json.Unmarshal does, and returns the first error.
func decodeObject(object []byte, into reflect.Value, path string) error {
	names := make([]string, into.NumField())
	for i := range names {
		names[i], _, _ = strings.Cut(into.Type().Field(i).Tag.Get("json"), ",")
	}
	var first error
	members(object, func(key string, value []byte) {
		for i, name := range names {
			if name != "" && strings.EqualFold(name, key) {
				if err := decodeValue(value, into.Field(i), path+name); first == nil {
					first = err
				}
			}
		}
	})
	return first
}

func decodeValue(value []byte, into reflect.Value, path string) error {
	if into.Kind() == reflect.Pointer && into.Type().Elem().Kind() == reflect.Struct && value[0] == '{' {
		if into.IsNil() {
			into.Set(reflect.New(into.Type().Elem()))
		}
		into = into.Elem()
	}
	if isObject(into, value) {
		return decodeObject(value, into, path+".")
	}
	return inWords(path, json.Unmarshal(value, into.Addr().Interface()))
}

// members hands out the members of an object, in their order. The text must be valid.
func members(object []byte, take func(key string, value []byte)) {
	const between = space + ",:"
	for rest := bytes.TrimLeft(object[1:], between); rest[0] != '}'; rest = bytes.TrimLeft(rest, between) {
		n := valueLen(rest)
		key := string(rest[1 : n-1])
		if strings.Contains(key, `\`) {
			_ = json.Unmarshal(rest[:n], &key) // it is a valid string
		}
		rest = bytes.TrimLeft(rest[n:], between)
		n = valueLen(rest)
		take(key, rest[:n:n])
		rest = rest[n:]
	}
}

// valueLen is the length of the value that valid text begins with.
func valueLen(text []byte) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			for i++; text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		default:
			if next := text[i+1]; depth > 0 || strings.IndexByte(space+",:}]", next) < 0 {
				continue
			}
		}
		if depth == 0 {
			return i + 1
		}
	}
	return len(text)
}

// inWords is an error of encoding/json that names the key: path and what is below it.
func inWords(path string, err error) error {
	if err == nil {
		return nil
	}
	var own *Error
	if errors.As(err, &own) {
		return err // a key's own parser knew better
	}
	var te *json.UnmarshalTypeError
	switch {
	case errors.As(err, &te):
	case path == "":
		return Errorf(CodeDecode, "network configuration: not valid JSON: %w", err)
	default:
		return Errorf(CodeDecode, "%s: %w", path, err)
	}
	key := strings.Trim(path+"."+te.Field, ".")
	if key == "" {
		key = "network configuration"
	}
	have := "a " + te.Value
	if strings.HasPrefix(te.Value, "array") || strings.HasPrefix(te.Value, "object") {
		have = "an " + te.Value
	}
	return Errorf(CodeDecode, "%s: wants %s, but has %s", key, kindName(te.Type.String()), have)
}

func kindName(goType string) string {
	goType = strings.TrimLeft(goType, "*")
	switch {
	case goType == "bool":
		return "true or false"
	case goType == "string":
		return "a string"
	case strings.HasPrefix(goType, "int") || strings.HasPrefix(goType, "uint"):
		return "a whole number"
	case strings.HasPrefix(goType, "[]"):
		return "a list"
	}
	return "an object"
}
