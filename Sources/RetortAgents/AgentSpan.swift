import RetortCore
import Tracing

/// The names and attributes of spans, after OpenTelemetry's conventions for generative AI
/// (https://opentelemetry.io/docs/specs/semconv/gen-ai/). Texts of models and tools are not among them: traces go to other machines.
enum AgentSpan {
    /// A rollout: all of the work on a task.
    static func agent(_ trajectory: Trajectory) -> SpanAttributes {
        var attributes: SpanAttributes = [
            "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": .string(trajectory.provenance.policy),
            "gen_ai.request.model": .string(trajectory.provenance.model),
            "gen_ai.conversation.id": .string(trajectory.id), "retort.task": .string(trajectory.task.id),
        ]
        attributes["retort.split"] = trajectory.task.split
        return attributes
    }

    /// What a rollout came to.
    static func end(_ trajectory: Trajectory, _ span: any Span) {
        var attributes = span.attributes
        attributes["gen_ai.usage.input_tokens"] = trajectory.usage.promptTokens
        attributes["gen_ai.usage.output_tokens"] = trajectory.usage.completionTokens
        attributes["retort.steps"] = trajectory.steps.count
        attributes["retort.ending"] =
            switch trajectory.ending {
            case .answered: "answered"
            case .forced: "forced"
            case .gaveUp: "gave up"
            case .failed: "failed"
            case nil: "none"
            }
        span.attributes = attributes
        if case .failed(let reason)? = trajectory.ending {
            span.setStatus(SpanStatus(code: .error, message: reason.shown(upTo: 300)))
        }
    }

    /// A request to a model.
    static func chat(_ request: GenerationRequest, _ identity: String) -> SpanAttributes {
        [
            "gen_ai.operation.name": "chat", "gen_ai.request.model": .string(identity),
            "gen_ai.request.max_tokens": .int64(Int64(request.maximumTokens)),
            "gen_ai.request.choice.count": .int64(Int64(request.samples)),
            "gen_ai.request.temperature": .double(request.sampling.temperature),
        ]
    }

    /// What a model's samples cost.
    static func end(_ completions: [Completion], _ span: any Span) {
        var attributes = span.attributes
        attributes["gen_ai.usage.input_tokens"] = completions.reduce(0) { $0 + $1.usage.promptTokens }
        attributes["gen_ai.usage.output_tokens"] = completions.reduce(0) { $0 + $1.usage.completionTokens }
        span.attributes = attributes
    }

    /// The tool that an action uses; a program's is `python`.
    static func tool(_ action: Action) -> String { action.toolName ?? "python" }

    static func tool(named name: String) -> SpanAttributes {
        ["gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": .string(name)]
    }

    /// How a tool's use ended.
    static func end(_ observation: Observation, _ span: any Span) {
        guard observation.outcome.isFailure else { return }
        let type: String =
            switch observation.outcome {
            case .executionError(let type, _): type
            case .timeout: "timeout"
            case .parseError: "parse"
            case .success, .final: "none"
            }
        span.attributes["error.type"] = type
        span.setStatus(SpanStatus(code: .error, message: type))
    }
}
