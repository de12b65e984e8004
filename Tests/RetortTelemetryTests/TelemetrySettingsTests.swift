import Foundation
import Testing

@testable import RetortTelemetry

@Suite("What the environment asks for of traces")
struct TelemetrySettingsTests {
    private static let endpoint = ["OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"]

    private func settings(_ more: [String: String]) throws -> TelemetrySettings? {
        try TelemetrySettings(environment: Self.endpoint.merging(more) { $1 })
    }

    @Test("without an address there are no traces, nor where they are switched off")
    func off() throws {
        #expect(try TelemetrySettings(environment: [:]) == nil)
        #expect(try TelemetrySettings(environment: ["OTEL_EXPORTER_OTLP_ENDPOINT": ""]) == nil)
        #expect(try settings(["OTEL_SDK_DISABLED": "True"]) == nil)
        #expect(try settings(["OTEL_TRACES_EXPORTER": "none"]) == nil)
    }

    @Test("the general address gets the path of traces; the one for traces is taken as it is")
    func address() throws {
        #expect(try settings([:])?.endpoint.absoluteString == "http://collector:4318/v1/traces")
        let own = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://other/in?x=1"]
        #expect(try settings(own)?.endpoint.absoluteString == "https://other/in?x=1")
        let below = ["OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector/tenant/"]
        #expect(try settings(below)?.endpoint.absoluteString == "http://collector/tenant/v1/traces")
    }

    @Test("headers, limits, resource and sampler are read; what is set for traces goes first")
    func all() throws {
        let read = try settings([
            "OTEL_EXPORTER_OTLP_HEADERS": "a=1", "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "api-key = s%20t , b=2",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "2500", "OTEL_BSP_SCHEDULE_DELAY": "100",
            "OTEL_RESOURCE_ATTRIBUTES": "team=ml,service.name=x", "OTEL_SERVICE_NAME": "teacher",
            "OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
        ])
        #expect(read?.headers == ["api-key": "s t", "b": "2"])
        #expect(read?.seconds == 2.5 && read?.delaySeconds == 0.1)
        #expect(read?.resource == ["service.name": "teacher", "team": "ml"])
        #expect(read?.sampler == .share(0.25) && read?.followsCaller == true)
        #expect(try settings(["OTEL_TRACES_SAMPLER": "always_off"])?.followsCaller == false)
    }

    @Test(
        "what cannot be followed is refused by its name, and keys are not shown",
        arguments: [
            ["OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"], ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"],
            ["OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"], ["OTEL_EXPORTER_OTLP_HEADERS": "sesame"],
            ["OTEL_EXPORTER_OTLP_TIMEOUT": "soon"], ["OTEL_TRACES_SAMPLER": "jaeger_remote"],
            ["OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"], ["OTEL_TRACES_EXPORTER": "zipkin"],
            ["OTEL_EXPORTER_OTLP_CERTIFICATE": "sesame.pem"], ["OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY": "sesame.pem"],
            ["OTEL_PROPAGATORS": "tracecontext,b3"], ["OTEL_CONFIG_FILE": "sesame.yaml"],
        ])
    func refused(variables: [String: String]) throws {
        let error = #expect(throws: TelemetryError.self) { try settings(variables) }
        let name = try #require(variables.keys.first)
        #expect(error?.description.contains(name) == true && error?.description.contains("sesame") == false)
    }

    @Test("variables of other signals, sizes of queues and what is set to nothing switch no traces off")
    func others() throws {
        let read = try settings([
            "OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE": "a.pem", "OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY": "a.pem",
            "OTEL_BSP_MAX_QUEUE_SIZE": "2048", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "128",
            "OTEL_PYTHON_LOG_LEVEL": "info",
            "OTEL_PROPAGATORS": "tracecontext, baggage", "OTEL_EXPORTER_OTLP_INSECURE": "true",
            "OTEL_EXPORTER_OTLP_CERTIFICATE": "",
        ])
        #expect(read != nil)
    }

    @Test("metrics have an address, an interval and a form of sums of their own")
    func metrics() throws {
        func settings(_ more: [String: String]) throws -> TelemetrySettings? {
            try TelemetrySettings(.metrics, environment: Self.endpoint.merging(more) { $1 })
        }
        let usual = try settings(["OTEL_TRACES_EXPORTER": "none"])
        #expect(usual?.endpoint.absoluteString == "http://collector:4318/v1/metrics")
        #expect(usual?.delaySeconds == 60 && usual?.temporality == .cumulative)
        let own = try settings([
            "OTEL_METRIC_EXPORT_INTERVAL": "5000", "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "Delta",
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://other/m", "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "a=1",
        ])
        #expect(own?.endpoint.absoluteString == "http://other/m" && own?.headers == [:])
        #expect(own?.delaySeconds == 5 && own?.temporality == .delta)
        #expect(try settings(["OTEL_METRICS_EXPORTER": "none"]) == nil)
        let error = #expect(throws: TelemetryError.self) {
            try settings(["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "lowmemory"])
        }
        #expect(error?.description.contains("cumulative, delta") == true)
        #expect(throws: TelemetryError.self) {
            try settings([
                "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": "base2_exponential_bucket_histogram"
            ])
        }
    }

    @Test("a share of traces needs a number from 0 to 1", arguments: ["2", "-0.1", "half"])
    func share(value: String) {
        #expect(throws: TelemetryError.self) {
            try settings(["OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": value])
        }
    }
}
