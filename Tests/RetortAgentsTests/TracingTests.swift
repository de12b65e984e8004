import InMemoryTracing
import RetortAgents
import RetortCore
import RetortTesting
import Testing
import Tracing

@Suite("Traces of rollouts")
struct TracingTests {
    @Test("a rollout's requests and programs are spans below its own, with what they cost and how they ended")
    func spans() async throws {
        let tracer = InMemoryTracer()
        let trajectory = try await withTracer(tracer) {
            try await rollout(ScriptedModel([[turn("x = 42")], [turn("final x")]])).trajectory(for: task, attempt: 3)
        }
        #expect(trajectory.ending == .answered(42))
        let spans = tracer.finishedSpans
        #expect(
            spans.map(\.operationName).sorted() == [
                "chat scripted", "chat scripted", "execute_tool python", "execute_tool python", "invoke_agent agent",
            ])
        let whole = try #require(spans.last)
        #expect(whole.operationName == "invoke_agent agent")
        #expect(whole.attributes.get("gen_ai.conversation.id") == .string("t/agent/3"))
        #expect(whole.attributes.get("gen_ai.usage.output_tokens") == .int64(20))
        #expect(whole.attributes.get("retort.ending") == .string("answered"))
        for span in spans.dropLast() { #expect(span.parentSpanID == whole.spanID) }
    }

    @Test("a model that breaks is an error of its request and of the rollout")
    func failure() async throws {
        let tracer = InMemoryTracer()
        let trajectory = try await withTracer(tracer) {
            try await rollout(ScriptedModel([[String]]())).trajectory(for: task)
        }
        guard case .failed? = trajectory.ending else {
            Issue.record("\(trajectory)")
            return
        }
        #expect(tracer.finishedSpans.last?.status?.code == .error)
        #expect(tracer.finishedSpans.first?.errors.count == 1)
    }
}
