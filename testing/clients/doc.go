// Package clients drives a running fleet with the official OpenAI clients for Python
// and Node: what they take for granted must hold. The checks are clients.py and
// clients.mjs; requirements.txt and package-lock.json pin the clients.
package clients
