package source

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// HubToken finds the token of a Hub where its users keep it: HF_TOKEN, the file that
// HF_TOKEN_PATH names, or the file that its own tools write. None is no error.
func HubToken() (string, error) {
	if t := os.Getenv("HF_TOKEN"); t != "" {
		return cleanToken("HF_TOKEN", t)
	}
	path := os.Getenv("HF_TOKEN_PATH")
	if path == "" {
		path = filepath.Join(hubHome(), "token")
	}
	token, err := TokenFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return token, err
}

// hubHome is where the Hub's own tools keep their things.
func hubHome() string {
	if dir := os.Getenv("HF_HOME"); dir != "" {
		return dir
	}
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		cache = filepath.Join(os.Getenv("HOME"), ".cache")
	}
	return filepath.Join(cache, "huggingface")
}

// TokenFile reads a token out of a file.
func TokenFile(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	return cleanToken(path, string(b))
}

// cleanToken refuses what no header can carry, and never repeats it.
func cleanToken(where, token string) (string, error) {
	token = strings.TrimSpace(token)
	for _, r := range token {
		if r <= ' ' || r >= 0x7f {
			return "", fmt.Errorf("%s: holds a character that no token has; want one line that begins with hf_", where)
		}
	}
	return token, nil
}
