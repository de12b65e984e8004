import Testing

@testable import RetortTelemetry

@Suite("W3C's trace context")
struct TraceContextTests {
    @Test("a header reads back as it was written")
    func roundTrip() throws {
        let header = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"
        let context = try #require(TraceContext(header: header))
        #expect(context.header == header && context.isSampled)
        #expect(context.traceID == "0af7651916cd43dd8448eb211c80319c" && context.spanID == "00f067aa0ba902b7")
    }

    @Test("a version to come may say more; flags that are not known change nothing")
    func future() throws {
        let context = try #require(TraceContext(header: "01-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-fe-more"))
        #expect(!context.isSampled)
    }

    @Test(
        "a damaged header is none",
        arguments: [
            "", "00", "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-00f067aa0ba902b7-01",
            "00-0af7651916cd43dd8448eb211c80319-00f067aa0ba902b7-01",
            "00-+af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01",
        ])
    func damaged(header: String) { #expect(TraceContext(header: header) == nil) }
}
