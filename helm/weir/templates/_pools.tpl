{{/*
The worker pools: workers.defaults, in which each key that a pool states is replaced as a whole. As JSON, for fromJson.

Added to what the values say: `workload`, the name of the StatefulSet or DaemonSet, and `names`, a list of the workers that
certificates are made for. Each of those has a `pod` (the folder of its certificate: the name of its pod, or of its node) and a
`worker` (the name in the certificate).
*/}}
{{- define "weir.pools" -}}
{{- $root := . -}}
{{- $pools := dict -}}
{{- range $name, $given := .Values.workers.pools -}}
{{- if not (kindIs "invalid" $given) -}}
{{- $pool := deepCopy $root.Values.workers.defaults -}}
{{- range $key, $value := $given -}}
{{- $_ := set $pool $key $value -}}
{{- end -}}
{{- $workload := printf "%s-%s" (include "weir.fullname" $root) $name -}}
{{- $names := list -}}
{{- if eq $pool.kind "DaemonSet" -}}
{{- range $pool.nodes -}}
{{- $names = append $names (dict "pod" . "worker" (. | replace "." "-" | trunc 63 | trimSuffix "-")) -}}
{{- end -}}
{{- else -}}
{{- $count := int $pool.replicas -}}
{{- if $pool.autoscaling.enabled -}}{{- $count = max $count (int $pool.autoscaling.maxReplicas) -}}{{- end -}}
{{- range until (int (max $count (int $pool.certificates))) -}}
{{- $pod := printf "%s-%d" $workload . -}}
{{- $names = append $names (dict "pod" $pod "worker" $pod) -}}
{{- end -}}
{{- end -}}
{{- $_ := set $pool "workload" $workload -}}
{{- $_ := set $pool "names" $names -}}
{{- $_ := set $pools $name $pool -}}
{{- end -}}
{{- end -}}
{{- $pools | toJson -}}
{{- end -}}

{{/* Labels by which the pods of one pool are found; of a list (root, pool's name). */}}
{{- define "weir.pool.selector" -}}
{{ include "weir.selector" (index . 0) }}
app.kubernetes.io/component: worker
weir.internal/pool: {{ index . 1 }}
{{- end -}}

{{/* The Secret with the certificate of one worker; of a list (root, pool, entry of names). */}}
{{- define "weir.worker.secret" -}}
{{- $root := index . 0 -}}
{{- $pool := index . 1 -}}
{{- $entry := index . 2 -}}
{{- if eq $root.Values.tls.mode "existingSecret" -}}
{{- $root.Values.tls.existingSecret.workers | replace "{worker}" $entry.worker -}}
{{- else if eq $pool.kind "DaemonSet" -}}
{{- printf "%s-%s-tls" $pool.workload $entry.worker -}}
{{- else -}}
{{- printf "%s-tls" $entry.worker -}}
{{- end -}}
{{- end -}}

{{- define "weir.orchestrator.secret" -}}
{{- if eq .Values.tls.mode "existingSecret" -}}
{{- .Values.tls.existingSecret.orchestrator | default (printf "%s-tls" (include "weir.orchestrator" .)) -}}
{{- else -}}
{{- include "weir.orchestrator" . }}-tls
{{- end -}}
{{- end -}}
