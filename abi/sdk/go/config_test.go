// Configs that the host reads into structs. The real host's messages about wrong values are tested elsewhere.
package taskhost_test

import (
	"context"
	"errors"
	"reflect"
	"runtime"
	"strings"
	"taskhost"
	"taskhost/internal/fakehost"
	"testing"
	"time"
)

type pump struct {
	Name  string `config:"name,required"`
	Speed uint8  `config:"speed" min:"1"`
}

type everything struct {
	Text     string        `config:"text"`
	Yes      bool          `config:"yes"`
	Whole    int           `config:"whole" min:"-5" max:"5"`
	Small    int8          `config:"small"`
	Large    uint64        `config:"large"`
	Real     float64       `config:"real"`
	Every    time.Duration `config:"every"`
	Pump     pump          `config:"pump"`
	Pumps    []pump        `config:"pumps"`
	Pins     []int16       `config:"pins" max:"99"`
	Odd      string        `config:"a/b~c"`
	Untagged string
	hidden   int
}

func (all *everything) Check() error {
	if all.Text == "wrong" {
		return errors.New("config: /text: must not be wrong")
	}
	if all.Text == "panic" {
		panic("no such text")
	}
	if all.Text == "goexit" {
		runtime.Goexit()
	}
	return nil
}

var defaults = everything{Text: "text", Whole: 3, Real: 0.5, Every: time.Minute, Pins: []int16{7}, Untagged: "same"}
var received = make(chan everything, 1)

type (
	private struct {
		some int `config:"some"`
	}
	channel struct {
		Some []chan int `config:"some"`
	}
	bounded struct {
		Some string `config:"some" min:"1"`
	}
	misspelt struct {
		Some string `config:"some,requierd"`
	}
	endless struct {
		Some []endless `config:"some"`
	}

	one8 struct {
		Some int8 `config:"some"`
	}
	one16 struct {
		Some uint16 `config:"some"`
	}
	one64 struct {
		Some uint64 `config:"some"`
	}
	tagged struct {
		Some uint8 `config:"some" min:"-1" max:"7"`
	}
	element struct {
		Some []int64 `config:"some" min:"-2"`
	}
)

func init() {
	taskhost.RegisterWithConfig("everything", "", "", defaults,
		func(_ context.Context, _ *taskhost.Task, config everything) error {
			received <- config
			return nil
		})
	configured[one8]("int8")
	configured[one16]("uint16")
	configured[one64]("uint64")
	configured[tagged]("tagged")
	configured[element]("element")
	configured[private]("private")
	configured[channel]("channel")
	configured[bounded]("bounded")
	configured[misspelt]("misspelt")
	configured[endless]("endless")
	configured[int]("int")
}

func configured[Config any](name string) {
	var none Config
	taskhost.RegisterWithConfig(name, "", "", none, func(context.Context, *taskhost.Task, Config) error { return nil })
}

func TestDefaultsStandWhereTheConfigSaysNothing(t *testing.T) {
	one := fakehost.New("everything", "{}")
	one.Text("/pump/name", "main")
	if one.Start() != fakehost.OK || one.Finish() != fakehost.OK {
		t.Fatal(one.Failure())
	}
	one.Drop()
	want := defaults
	want.Pump.Name = "main"
	if got := <-received; !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if one.Keys() != "text yes whole small large real every pump pumps pins a/b~c" {
		t.Error(one.Keys())
	}
}

func TestValuesGoWhereTheyBelong(t *testing.T) {
	one := fakehost.New("everything", "{}")
	for pointer, text := range map[string]string{"/text": "", "/pump/name": "main", "/pumps/0/name": "first",
		"/pumps/1/name": "second", "/a~1b~0c": "odd"} {
		one.Text(pointer, text)
	}
	for pointer, number := range map[string]float64{"/yes": 1, "/whole": -4, "/small": -128, "/real": 2.5, "/every": 5e9,
		"/pumps": 2, "/pumps/1/speed": 255, "/pins": 1, "/pins/0": -3} {
		one.Number(pointer, number)
	}
	if one.Start() != fakehost.OK || one.Finish() != fakehost.OK {
		t.Fatal(one.Failure())
	}
	one.Drop()
	want := everything{Yes: true, Whole: -4, Small: -128, Real: 2.5, Every: 5 * time.Second, Pump: pump{Name: "main"},
		Pumps: []pump{{Name: "first"}, {Name: "second", Speed: 255}}, Pins: []int16{-3}, Odd: "odd", Untagged: "same"}
	if got := <-received; !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

func TestWhatIsRequiredIsAskedFor(t *testing.T) {
	one := fakehost.New("everything", "{}")
	if one.Start() != fakehost.Error || one.Asked() != "require /pump/name" {
		t.Error(one.Asked(), one.Failure())
	}
}

func TestWholeNumbersHaveTheBoundsOfTheirTypesAndTags(t *testing.T) {
	for name, asked := range map[string]string{
		"int8":    "integer /some -128 127",
		"uint16":  "integer /some 0 65535",
		"uint64":  "integer /some 0 9223372036854775807",
		"tagged":  "integer /some 0 7",
		"element": "integer /some/0 -2 9223372036854775807",
	} {
		one := fakehost.New(name, "{}")
		one.Number("/some", 1)
		if one.Start() != fakehost.OK || one.Asked() != asked {
			t.Error(name, one.Asked())
		}
		one.Drop()
	}
}

func TestCheckHasTheLastWord(t *testing.T) {
	for _, want := range []struct {
		text   string
		result int
		says   string // the beginning of the message
	}{
		{"wrong", fakehost.Error, "config: /text: must not be wrong"},
		{"panic", fakehost.Panic, "no such text (config_test.go:"},
	} {
		one := fakehost.New("everything", "{}")
		one.Text("/text", want.text)
		one.Text("/pump/name", "main")
		if one.Start() != fakehost.OK || one.Finish() != want.result || !strings.HasPrefix(one.Failure(), want.says) {
			t.Error(want.text, one.Failure())
		}
		one.Drop()
	}
}

func TestConfigIsCheckedWithoutAnExecution(t *testing.T) {
	for _, want := range []struct {
		text   string
		result int
		says   string // the beginning of the message
	}{
		{"right", fakehost.OK, ""},
		{"wrong", fakehost.Error, "config: /text: must not be wrong"},
		{"panic", fakehost.Panic, "no such text (config_test.go:"},
		{"goexit", fakehost.Error, "its goroutine was ended by runtime.Goexit"},
	} {
		one := fakehost.New("everything", "{}")
		one.Text("/text", want.text)
		one.Text("/pump/name", "main")
		if one.Check() != want.result || !strings.HasPrefix(one.Failure(), want.says) {
			t.Error(want.text, one.Failure())
		}
	}
	one := fakehost.New("everything", "{}")
	if one.Check() != fakehost.Error || one.Failure() != "is missing" {
		t.Error(one.Failure())
	}
	one = fakehost.New("private", "{}")
	if one.Check() != fakehost.Error || !strings.HasPrefix(one.Failure(), "config: the field some must be exported") {
		t.Error(one.Failure())
	}
	one = fakehost.New("int8", "{}") // without a method Check
	if one.Check() != fakehost.OK || one.Failure() != "" {
		t.Error(one.Failure())
	}
	if fakehost.New("fine", "{}").HasCheck() {
		t.Error("a task that reads no config has a check")
	}
}

func TestHostWithoutTheExtensionReadsNoConfigs(t *testing.T) {
	one := fakehost.New("everything", "{}")
	one.HideExtensions()
	if one.Start() != fakehost.Error || one.Failure() != "this host reads no configs (extension taskhost.config)" {
		t.Error(one.Failure())
	}
}

func TestStructThatCanNotBeReadFailsTheStart(t *testing.T) {
	for name, text := range map[string]string{
		"private":  "config: the field some must be exported, with a capital letter",
		"channel":  "config: the field Some has a type that no config is read into: chan int",
		"bounded":  "config: the field Some is no whole number, so it has no min",
		"misspelt": `config: the field Some has an unknown option "requierd" in its tag; there is "required"`,
		"endless":  "config: taskhost_test.endless nests too deep",
		"int":      "config: int is no struct",
	} {
		one := fakehost.New(name, "{}")
		if one.Start() != fakehost.Error || one.Failure() != text {
			t.Error(one.Failure())
		}
	}
}
