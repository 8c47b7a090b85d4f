package runner

import (
	"testing"

	"pgregory.net/rapid"
)

func TestLife(t *testing.T) {
	for name, c := range map[string]struct {
		events []event
		state  State
		due    job
	}{
		"new":                         {nil, pending, pullJob},
		"pulling":                     {[]event{pullBegan}, pulling, noJob},
		"pulled":                      {[]event{pullBegan, pullDone}, loading, engineJob},
		"pull failed":                 {[]event{pullBegan, pullFailed}, failed, noJob},
		"pull failed, pause over":     {[]event{pullBegan, pullFailed, retry}, pending, pullJob},
		"engine starts":               {[]event{pullBegan, pullDone, engineBegan}, loading, noJob},
		"engine warms":                {[]event{pullBegan, pullDone, engineBegan, engineWarms}, warming, noJob},
		"engine ready":                {[]event{pullBegan, pullDone, engineBegan, engineWarms, engineReady}, ready, noJob},
		"ready without a warm phase":  {[]event{pullBegan, pullDone, engineBegan, engineReady}, ready, noJob},
		"a late word of warming":      {[]event{pullBegan, pullDone, engineBegan, engineReady, engineWarms}, ready, noJob},
		"load failed":                 {[]event{pullBegan, pullDone, engineBegan, engineEnded}, failed, noJob},
		"load failed, pause over":     {[]event{pullBegan, pullDone, engineBegan, engineWarms, engineEnded, retry}, pending, pullJob},
		"engine lost":                 {[]event{pullBegan, pullDone, engineBegan, engineReady, engineEnded}, loading, engineJob},
		"dropped while new":           {[]event{unwanted}, stopped, noJob},
		"dropped while pulling":       {[]event{pullBegan, unwanted}, draining, noJob},
		"dropped, pull has ended":     {[]event{pullBegan, unwanted, pullFailed}, stopped, noJob},
		"dropped while ready":         {[]event{pullBegan, pullDone, engineBegan, engineReady, unwanted}, draining, noJob},
		"dropped, engine has ended":   {[]event{pullBegan, pullDone, engineBegan, engineReady, unwanted, engineEnded}, stopped, noJob},
		"dropped while it had failed": {[]event{pullBegan, pullFailed, unwanted}, stopped, noJob},
	} {
		var f facts
		for _, e := range c.events {
			f = f.after(e)
		}
		if next(f) != c.state || due(f) != c.due {
			t.Errorf("%s: %v with job %d due, want %v with %d", name, next(f), due(f), c.state, c.due)
		}
	}
}

// world plays the surroundings of an instance: it does what is due, and the rest at
// random.
type world struct {
	facts
	pulledOnce bool
}

// possible are the events that can follow: of the job that runs, and from outside.
func (w *world) possible() []event {
	switch {
	case w.job == pullJob:
		return []event{pullDone, pullFailed, unwanted}
	case w.job == engineJob:
		return []event{engineWarms, engineReady, engineEnded, unwanted}
	case w.failed:
		return []event{retry, unwanted}
	}
	switch due(w.facts) {
	case pullJob:
		return []event{pullBegan, unwanted}
	case engineJob:
		return []event{engineBegan, unwanted}
	}
	return nil
}

func (w *world) check(t *rapid.T) {
	s := next(w.facts)
	switch {
	case (s == ready || s == warming) && (w.job != engineJob || !w.pulledOnce):
		t.Fatalf("%v without an engine or files: %+v", s, w.facts)
	case s == stopped && (w.job != noJob || !w.unwanted):
		t.Fatalf("stopped with a job or while wanted: %+v", w.facts)
	case w.unwanted && s != draining && s != stopped:
		t.Fatalf("%v although unwanted: %+v", s, w.facts)
	case w.unwanted && due(w.facts) != noJob:
		t.Fatalf("work for what is unwanted: %+v", w.facts)
	case s != stopped && len(w.possible()) == 0:
		t.Fatalf("stuck in %v: %+v", s, w.facts)
	}
}

// TestAnyLife lives random lives: no step breaks a rule, and from anywhere a run of
// good luck leads to ready, or to stopped once unwanted.
func TestAnyLife(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{}
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			options := w.possible()
			if len(options) == 0 {
				break
			}
			e := rapid.SampledFrom(options).Draw(t, "event")
			w.facts = w.after(e)
			w.pulledOnce = w.pulledOnce || e == pullDone
			w.check(t)
		}
		for n := 0; next(w.facts) != ready && next(w.facts) != stopped; n++ {
			if n > 6 {
				t.Fatalf("good luck leads nowhere: %+v", w.facts)
			}
			w.facts = w.after(lucky(w))
		}
	})
}

// lucky is the event that leads on.
func lucky(w *world) event {
	switch options := w.possible(); {
	case w.unwanted && w.job == engineJob:
		return engineEnded
	case w.job == engineJob:
		return engineReady
	default:
		return options[0]
	}
}
