{{- define "shop.prometheusSettings" -}}
global:
  scrape_interval: {{ .Values.prometheus.scrapeIntervalSeconds }}s
  scrape_timeout: {{ .Values.prometheus.scrapeIntervalSeconds }}s
scrape_configs:
  - job_name: pods
    # `workload` in Foresail's own series is the watched one.
    honor_labels: true
    kubernetes_sd_configs:
      - role: pod
        namespaces:
          names:
            - {{ .Release.Namespace }}
            {{- with .Values.prometheus.foresailNamespace }}
            - {{ . }}
            {{- end }}
    relabel_configs:
      - source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scrape]
        action: keep
        regex: "true"
      - source_labels: [__meta_kubernetes_pod_phase]
        action: keep
        regex: Running
      # Of a pod's ports the one that is named for it, so that each pod is one target.
      - source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_port]
        target_label: __tmp_port
      - source_labels: [__meta_kubernetes_pod_container_port_number]
        action: keepequal
        target_label: __tmp_port
      - source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_path]
        target_label: __metrics_path__
        regex: (.+)
      - source_labels: [__meta_kubernetes_namespace]
        target_label: namespace
      - source_labels: [__meta_kubernetes_pod_name]
        target_label: pod
      - source_labels: [__meta_kubernetes_pod_container_name]
        target_label: container
      - source_labels: [__meta_kubernetes_pod_node_name]
        target_label: node
      - source_labels: [__meta_kubernetes_pod_label_app_kubernetes_io_component]
        target_label: component
  {{- if .Values.prometheus.cadvisor }}
  - job_name: cadvisor
    scheme: https
    metrics_path: /metrics/cadvisor
    kubernetes_sd_configs:
      - role: node
    bearer_token_file: /var/run/secrets/kubernetes.io/serviceaccount/token
    tls_config:
      ca_file: /var/run/secrets/kubernetes.io/serviceaccount/ca.crt
      insecure_skip_verify: {{ .Values.prometheus.kubeletInsecureTls }}
    relabel_configs:
      - source_labels: [__meta_kubernetes_node_name]
        target_label: node
    metric_relabel_configs:
      - source_labels: [__name__]
        action: keep
        regex: container_(cpu_usage_seconds_total|cpu_cfs_throttled_periods_total|cpu_cfs_periods_total|memory_working_set_bytes|memory_rss|fs_usage_bytes|spec_cpu_quota|spec_cpu_period|spec_memory_limit_bytes|oom_events_total)
      - source_labels: [pod]
        action: keep
        regex: .+
  {{- end }}
{{- end -}}
