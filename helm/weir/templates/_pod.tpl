{{/* What the pods of both processes have in common, of a list (root, the process's values). */}}
{{- define "weir.pod" -}}
{{- $root := index . 0 -}}
{{- $own := index . 1 -}}
serviceAccountName: {{ include "weir.serviceAccount" $root }}
# Weir asks Kubernetes nothing.
automountServiceAccountToken: false
# Variables like WEIR_ADMIN_PORT, made of the names of Services, could be taken for settings.
enableServiceLinks: false
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $own.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
terminationGracePeriodSeconds: {{ $own.terminationGracePeriodSeconds }}
securityContext:
  {{- toYaml $root.Values.security.pod | nindent 2 }}
{{- with $own.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $own.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "weir.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "weir.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Which pod this is, for the arguments. */}}
{{- define "weir.env" -}}
- name: POD_NAME
  valueFrom: { fieldRef: { fieldPath: metadata.name } }
- name: POD_IP
  valueFrom: { fieldRef: { fieldPath: status.podIP } }
- name: NODE_NAME
  valueFrom: { fieldRef: { fieldPath: spec.nodeName } }
{{- end -}}

{{/* Probes by HTTP, of a list (port, path for living, path for ready, the probes' values). */}}
{{- define "weir.probes" -}}
{{- $port := index . 0 -}}
{{- $probes := index . 3 -}}
startupProbe:
  httpGet: { path: {{ index . 1 }}, port: {{ $port }} }
  {{- toYaml $probes.startup | nindent 2 }}
livenessProbe:
  httpGet: { path: {{ index . 1 }}, port: {{ $port }} }
  {{- toYaml $probes.liveness | nindent 2 }}
readinessProbe:
  httpGet: { path: {{ index . 2 }}, port: {{ $port }} }
  {{- toYaml $probes.readiness | nindent 2 }}
{{- end -}}
