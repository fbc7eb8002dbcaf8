{{- define "shop.peer" -}}
podSelector:
  matchLabels:
    {{- include "shop.selectorLabels" .context | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "shop.managementPeers" -}}
- namespaceSelector:
    matchExpressions:
      - key: kubernetes.io/metadata.name
        operator: In
        values: {{ toJson .Values.networkPolicy.managementNamespaces }}
- {{ include "shop.peer" (dict "context" . "component" "prometheus") | nindent 2 | trim }}
{{- end -}}
