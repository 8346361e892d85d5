{{/*
Names and labels. Kubernetes gives a pod of a StatefulSet a label "<name>-<hash>" of at most 63 characters, so a workload's
name has at most 52: 36 for the release, 15 for the pool, and the dash between them.
*/}}
{{- define "weir.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 36 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 36 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 36 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "weir.orchestrator" -}}
{{- include "weir.fullname" . }}-orchestrator
{{- end -}}

{{/* Labels by which pods are found; they never change. */}}
{{- define "weir.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Labels of everything. */}}
{{- define "weir.labels" -}}
{{ include "weir.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: weir
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels of pods: without the chart's version, which would restart them all. */}}
{{- define "weir.podLabels" -}}
{{ include "weir.selector" . }}
app.kubernetes.io/part-of: weir
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Of a list (root, image): registry/repository:tag, or with a digest. */}}
{{- define "weir.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- $reference := $image.repository -}}
{{- with $root.Values.image.registry -}}
{{- $reference = printf "%s/%s" (. | trimSuffix "/") $image.repository -}}
{{- end -}}
{{- if $image.digest -}}
{{- $reference -}}@{{- $image.digest -}}
{{- else -}}
{{- $reference -}}:{{- default $root.Chart.AppVersion $root.Values.image.tag -}}
{{- end -}}
{{- end -}}

{{/* Every address of this family: 0.0.0.0 or [::]. */}}
{{- define "weir.any" -}}
{{- if eq .Values.ipFamily "IPv6" -}}[::]{{- else -}}0.0.0.0{{- end -}}
{{- end -}}

{{/* The pod's own address, to be written before a port. */}}
{{- define "weir.own" -}}
{{- if eq .Values.ipFamily "IPv6" -}}[$(POD_IP)]{{- else -}}$(POD_IP){{- end -}}
{{- end -}}

{{- define "weir.families" -}}
ipFamilyPolicy: SingleStack
ipFamilies: [{{ .Values.ipFamily }}]
{{- end -}}

{{/* What --certs reads, and where Kubernetes puts it. */}}
{{- define "weir.certs" -}}/etc/weir/tls{{- end -}}
