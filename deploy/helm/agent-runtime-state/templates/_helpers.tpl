{{- define "ars.name" -}}
{{- $name := .Release.Name -}}
{{- if not (contains "agent-runtime" $name) }}{{ $name = printf "%s-agent-runtime" $name }}{{ end -}}
{{- $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Labels that select: (dict "root" $ "part" "captor"). */}}
{{- define "ars.selector" -}}
app.kubernetes.io/name: agent-runtime-state
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end -}}

{{- define "ars.labels" -}}
{{ include "ars.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: agent-runtime
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end -}}

{{- define "ars.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- define "ars.url" -}}
http://{{ include "ars.name" . }}.{{ .Release.Namespace }}.svc:{{ .Values.service.port }}
{{- end -}}

{{- define "ars.tlsSecret" -}}
{{ .Values.webhook.certificates.secret | default (printf "%s-webhook-tls" (include "ars.name" .)) }}
{{- end -}}

{{/* Of a pod that needs nothing of its node. */}}
{{- define "ars.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "ars.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}

{{/* Of one of several: rather on different nodes. */}}
{{- define "ars.spread" -}}
- maxSkew: 1
  topologyKey: kubernetes.io/hostname
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "ars.selector" . | nindent 6 }}
{{- end -}}

{{/* Arguments that say where facts go. */}}
{{- define "ars.factArgs" -}}
{{- if eq .Values.facts.to "service" }}
- --url
- {{ include "ars.url" . | quote }}
{{- else }}
- --to
- rocketmq
{{- end }}
{{- with .Values.facts.namespace }}
- --namespace
- {{ . | quote }}
{{- end }}
{{- end -}}
