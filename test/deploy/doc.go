// Package deploy holds the checks of what deploy/ ships: the image's file tree, the manifests of all environments and the
// template, Compose, the unit of systemd, the scripts and the workflows. It is a module of its own, so that the tools it
// checks with stay out of Takt's own requirements.
package deploy
