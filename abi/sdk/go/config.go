package taskhost

// Structs as configs: the plan by which the host's thread reads values, and how they are stored in the struct.

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unsafe"
)

// A field of a struct that is read from a config, or the element type of an array.
type field struct {
	place       int    // index in its struct
	key         string // from the tag
	required    bool
	least, most int64
	kind        C.int32_t
	inner       []field
}

// Limits the nesting of structs: a type may contain a slice of itself.
const deepest = 16

var (
	durationType   = reflect.TypeOf(time.Duration(0))
	pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")
)

func planStruct(of reflect.Type, depth int) (fields []field, problem string) {
	if of.Kind() != reflect.Struct {
		return nil, "config: " + of.String() + " is no struct"
	}
	if depth > deepest {
		return nil, "config: " + of.String() + " nests too deep"
	}
	for place := 0; place < of.NumField(); place++ {
		of := of.Field(place)
		tag, has := of.Tag.Lookup("config")
		if !has {
			continue
		}
		one := field{place: place}
		if problem = one.read(of, tag); problem == "" {
			problem = one.plan(of.Type, depth)
		}
		if strings.HasPrefix(problem, "config: ") {
			return nil, problem // of a nested struct
		}
		if problem != "" {
			return nil, "config: the field " + of.Name + " " + problem
		}
		fields = append(fields, one)
	}
	return fields, ""
}

// Sets what the field's tags say.
func (one *field) read(of reflect.StructField, tag string) (problem string) {
	key, options, _ := strings.Cut(tag, ",")
	one.key = key
	one.required = options == "required"
	switch {
	case !of.IsExported():
		return "must be exported, with a capital letter"
	case key == "" || strings.Contains(key, " "):
		return "has a tag that names no key"
	case options != "" && !one.required:
		return "has an unknown option " + strconv.Quote(options) + " in its tag; there is \"required\""
	}
	one.least, one.most = math.MinInt64, math.MaxInt64
	for name, bound := range map[string]*int64{"min": &one.least, "max": &one.most} {
		text, has := of.Tag.Lookup(name)
		if !has {
			continue
		}
		inner := of.Type
		for inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		if !isWhole(inner) {
			return "is no whole number, so it has no " + name
		}
		var err error
		if *bound, err = strconv.ParseInt(text, 10, 64); err != nil {
			return "has a tag " + name + " that is no whole number of 64 bits"
		}
	}
	return ""
}

func isWhole(of reflect.Type) bool {
	return of.Kind() >= reflect.Int && of.Kind() <= reflect.Uint64 && of != durationType
}

// Sets what the field's type says.
func (one *field) plan(of reflect.Type, depth int) (problem string) {
	switch kind := of.Kind(); {
	case of == durationType:
		one.kind = C.TASKHOST_GO_DURATION
	case kind == reflect.String:
		one.kind = C.TASKHOST_GO_TEXT
	case kind == reflect.Bool:
		one.kind = C.TASKHOST_GO_BOOLEAN
	case kind == reflect.Float32 || kind == reflect.Float64:
		one.kind = C.TASKHOST_GO_NUMBER
	case kind == reflect.Struct:
		one.kind = C.TASKHOST_GO_STRUCT
		one.inner, problem = planStruct(of, depth+1)
	case kind == reflect.Slice:
		one.kind = C.TASKHOST_GO_ARRAY
		element := field{least: one.least, most: one.most}
		problem = element.plan(of.Elem(), depth+1)
		one.inner = []field{element}
	case isWhole(of):
		one.kind = C.TASKHOST_GO_WHOLE
		one.limit(kind <= reflect.Int64, of.Bits())
	default:
		problem = "has a type that no config is read into: " + of.String()
	}
	return problem
}

// Limits the range to what the type can hold.
func (one *field) limit(signed bool, bits int) {
	least, most := int64(math.MinInt64)>>(64-bits), int64(math.MaxInt64)>>(64-bits)
	if !signed {
		least = 0
		if bits < 64 {
			most = int64(1)<<bits - 1
		}
	}
	if one.least < least {
		one.least = least
	}
	if one.most > most {
		one.most = most
	}
}

// The same in C, for the host's threads. It is never freed.
func planInC(fields []field, problem string, hasCheck bool) *C.taskhost_go_plan {
	plan := (*C.taskhost_go_plan)(C.calloc(1, C.sizeof_taskhost_go_plan))
	if hasCheck {
		plan.has_check = 1
	}
	if problem != "" {
		plan.problem = C.CString(problem)
		return plan
	}
	var keys []string
	for _, one := range fields {
		keys = append(keys, one.key)
	}
	plan.keys = C.CString(strings.Join(keys, " "))
	plan.first = fieldsInC(fields)
	return plan
}

func fieldsInC(fields []field) (first *C.taskhost_go_field) {
	for index := len(fields) - 1; index >= 0; index-- {
		one := fields[index]
		made := (*C.taskhost_go_field)(C.calloc(1, C.sizeof_taskhost_go_field))
		made.key = C.CString("/" + pointerEscapes.Replace(one.key))
		if one.required {
			made.required = 1
		}
		made.kind = one.kind
		made.least, made.most = C.int64_t(one.least), C.int64_t(one.most)
		made.inner = fieldsInC(one.inner)
		made.next = first
		first = made
	}
	return first
}

// Stores the values of the words in the struct; returns the remaining words.
func decodeFields(fields []field, target reflect.Value, words []uint64) []uint64 {
	for index := range fields {
		words = decode(&fields[index], target.Field(fields[index].place), words)
	}
	return words
}

func decode(one *field, target reflect.Value, words []uint64) []uint64 {
	if one.kind == C.TASKHOST_GO_STRUCT {
		return decodeFields(one.inner, target, words)
	}
	if words[0] == 0 {
		return words[1:]
	}
	word, words := words[1], words[2:]
	switch one.kind {
	case C.TASKHOST_GO_TEXT:
		if word == 0 {
			target.SetString("")
			break
		}
		target.SetString(string(unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), word)))
		words = words[(word+7)/8:]
	case C.TASKHOST_GO_BOOLEAN:
		target.SetBool(word != 0)
	case C.TASKHOST_GO_NUMBER:
		target.SetFloat(math.Float64frombits(word))
	case C.TASKHOST_GO_ARRAY:
		elements := reflect.MakeSlice(target.Type(), int(word), int(word))
		for index := 0; index < int(word); index++ {
			words = decode(&one.inner[0], elements.Index(index), words)
		}
		target.Set(elements)
	default: // a whole number or a duration
		if target.CanUint() {
			target.SetUint(word)
		} else {
			target.SetInt(int64(word))
		}
	}
	return words
}
