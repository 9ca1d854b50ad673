package taskhost

/*
#include <stdlib.h>

#include "bridge.h"

static const taskhost_config_reader* taskhost_go_config(const taskhost_exec* exec) {
  return exec->services->extension(exec, TASKHOST_EXTENSION_CONFIG, TASKHOST_CONFIG_REVISION);
}
typedef const taskhost_config_reader* reader;
static int32_t config_keys(reader config, const taskhost_exec* exec, char* keys) { return config->keys(exec, keys); }
static int32_t config_require(reader config, const taskhost_exec* exec, char* at) { return config->require(exec, at); }
static int32_t config_text(reader config, const taskhost_exec* exec, char* at, char** value, size_t* size) {
  return config->text(exec, at, (const char**)value, size);
}
static int32_t config_integer(reader config, const taskhost_exec* exec, char* at, int64_t least, int64_t most,
                              int64_t* value) {
  return config->integer(exec, at, least, most, value);
}
static int32_t config_number(reader config, const taskhost_exec* exec, char* at, double* value) {
  return config->number(exec, at, value);
}
static int32_t config_boolean(reader config, const taskhost_exec* exec, char* at, int32_t* value) {
  return config->boolean(exec, at, value);
}
static int32_t config_duration(reader config, const taskhost_exec* exec, char* at, uint64_t* value) {
  return config->duration(exec, at, value);
}
static int32_t config_count(reader config, const taskhost_exec* exec, char* at, size_t* value) {
  return config->count(exec, at, value);
}
*/
import "C"

import (
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unsafe"
)

var durationType = reflect.TypeOf(time.Duration(0))

// Of structs in structs: a type may hold itself in a slice.
const deepest = 16

// A field of a config, from its tags.
type field struct {
	key         string // "" if it is not the config's
	required    bool
	least, most int64
	problem     string
}

func fieldOf(of reflect.StructField) field {
	one := field{least: math.MinInt64, most: math.MaxInt64}
	tag, has := of.Tag.Lookup("config")
	if !has {
		return one
	}
	key, options, _ := strings.Cut(tag, ",")
	one.key = key
	one.required = options == "required"
	switch {
	case !of.IsExported():
		one.problem = "must be exported, with a capital letter"
	case key == "" || strings.Contains(key, " "):
		one.problem = "has a tag that names no key"
	case options != "" && !one.required:
		one.problem = "has an unknown option " + strconv.Quote(options) + " in its tag; there is \"required\""
	}
	for name, bound := range map[string]*int64{"min": &one.least, "max": &one.most} {
		text, has := of.Tag.Lookup(name)
		if !has {
			continue
		}
		var err error
		if *bound, err = strconv.ParseInt(text, 10, 64); err != nil {
			one.problem = "has a tag " + name + " that is no whole number of 64 bits"
		} else if !isWhole(innermost(of.Type)) {
			one.problem = "is no whole number, so it has no " + name
		}
	}
	return one
}

// Once, when the task is registered: what is wrong with the struct, in words, and the keys that it has.
func inspectConfig(of reflect.Type) (problem, keys string) { return inspectStruct(of, 0) }

func inspectStruct(of reflect.Type, depth int) (problem, keys string) {
	if of.Kind() != reflect.Struct {
		return "config: " + of.String() + " is no struct", ""
	}
	if depth > deepest {
		return "config: " + of.String() + " nests too deep", ""
	}
	var names []string
	for index := 0; index < of.NumField(); index++ {
		one := fieldOf(of.Field(index))
		words := one.problem
		if words == "" && one.key != "" {
			names = append(names, one.key)
			words = typeProblem(of.Field(index).Type, depth)
		}
		if strings.HasPrefix(words, "config: ") {
			return words, ""
		}
		if words != "" {
			return "config: the field " + of.String() + "." + of.Field(index).Name + " " + words, ""
		}
	}
	return "", strings.Join(names, " ")
}

func typeProblem(of reflect.Type, depth int) string {
	switch of.Kind() {
	case reflect.String, reflect.Bool, reflect.Float32, reflect.Float64:
		return ""
	case reflect.Struct:
		problem, _ := inspectStruct(of, depth+1)
		return problem
	case reflect.Slice:
		return typeProblem(of.Elem(), depth+1)
	}
	if isWhole(of) || of == durationType {
		return ""
	}
	return "has a type that no config is read into: " + of.String()
}

func innermost(of reflect.Type) reflect.Type {
	for of.Kind() == reflect.Slice {
		of = of.Elem()
	}
	return of
}

func isWhole(of reflect.Type) bool {
	kind := of.Kind()
	return kind >= reflect.Int && kind <= reflect.Uint64 && of != durationType
}

type configReader struct {
	exec   *C.taskhost_exec
	reader C.reader
}

// Reads into what `target` points to. False: the host has been told what is wrong.
func readConfig(exec *C.taskhost_exec, keys string, target reflect.Value) bool {
	config := configReader{exec, C.taskhost_go_config(exec)}
	if config.reader == nil {
		fail(exec, "this host reads no configs (extension taskhost.config)")
		return false
	}
	known := C.CString(keys)
	defer C.free(unsafe.Pointer(known))
	if C.config_keys(config.reader, exec, known) != C.TASKHOST_OK || !config.fields("", target.Elem()) {
		return false
	}
	if checked, has := target.Interface().(interface{ Check() error }); has {
		if err := checked.Check(); err != nil {
			fail(exec, err.Error())
			return false
		}
	}
	return true
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

func (config configReader) fields(pointer string, target reflect.Value) bool {
	for index := 0; index < target.NumField(); index++ {
		one := fieldOf(target.Type().Field(index))
		if one.key == "" {
			continue
		}
		if !config.value(pointer+"/"+pointerEscapes.Replace(one.key), target.Field(index), one) {
			return false
		}
	}
	return true
}

// One value; `target` stays as it is where there is none.
func (config configReader) value(pointer string, target reflect.Value, one field) bool {
	at := C.CString(pointer)
	defer C.free(unsafe.Pointer(at))
	if one.required && C.config_require(config.reader, config.exec, at) != C.TASKHOST_OK {
		return false
	}
	kind := target.Kind()
	switch {
	case kind == reflect.Struct:
		return config.fields(pointer, target)
	case kind == reflect.Slice:
		return config.elements(pointer, at, target, one)
	case kind == reflect.String:
		var text *C.char
		var size C.size_t
		if C.config_text(config.reader, config.exec, at, &text, &size) != C.TASKHOST_OK {
			return false
		}
		if text != nil {
			target.SetString(C.GoStringN(text, C.int(size)))
		}
	case kind == reflect.Bool:
		value := C.int32_t(0)
		if target.Bool() {
			value = 1
		}
		if C.config_boolean(config.reader, config.exec, at, &value) != C.TASKHOST_OK {
			return false
		}
		target.SetBool(value != 0)
	case target.Type() == durationType:
		value := C.uint64_t(math.MaxUint64)
		if C.config_duration(config.reader, config.exec, at, &value) != C.TASKHOST_OK {
			return false
		}
		if value != math.MaxUint64 {
			target.SetInt(int64(value))
		}
	case kind == reflect.Float32 || kind == reflect.Float64:
		value := C.double(target.Float())
		if C.config_number(config.reader, config.exec, at, &value) != C.TASKHOST_OK {
			return false
		}
		target.SetFloat(float64(value))
	default:
		return config.whole(at, target, one)
	}
	return true
}

// A whole number, within its own bounds and those of its type.
func (config configReader) whole(at *C.char, target reflect.Value, one field) bool {
	bits := target.Type().Bits()
	least, most := int64(math.MinInt64)>>(64-bits), int64(math.MaxInt64)>>(64-bits)
	if target.CanUint() {
		least = 0
		if bits < 64 {
			most = int64(1)<<bits - 1
		}
	}
	if one.least > least {
		least = one.least
	}
	if one.most < most {
		most = one.most
	}
	var value C.int64_t
	if target.CanUint() {
		value = C.int64_t(target.Uint())
	} else {
		value = C.int64_t(target.Int())
	}
	if C.config_integer(config.reader, config.exec, at, C.int64_t(least), C.int64_t(most), &value) != C.TASKHOST_OK {
		return false
	}
	if target.CanUint() {
		target.SetUint(uint64(value))
	} else {
		target.SetInt(int64(value))
	}
	return true
}

func (config configReader) elements(pointer string, at *C.char, target reflect.Value, one field) bool {
	const none = math.MaxUint64
	count := C.size_t(none)
	if C.config_count(config.reader, config.exec, at, &count) != C.TASKHOST_OK {
		return false
	}
	if count == none {
		return true
	}
	elements := reflect.MakeSlice(target.Type(), int(count), int(count))
	one.required = false
	for index := 0; index < int(count); index++ {
		if !config.value(pointer+"/"+strconv.Itoa(index), elements.Index(index), one) {
			return false
		}
	}
	target.Set(elements)
	return true
}
