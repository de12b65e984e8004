import RetortCore

extension Step {
    /// The passages that were fetched for a question before the model spoke, as `ChainOfThought` with a retriever fetches them.
    public static func retrieval(_ tool: String, query: String, passages: String) -> Step {
        let arguments: [String: JSONValue] = ["query": .string(query)]
        let call = ToolCall(name: tool, arguments: arguments, result: .string(passages))
        return Step(
            speaker: ChainOfThoughtView.retriever, thought: "",
            action: .toolCall(name: tool, arguments: .object(arguments)),
            observation: Observation(text: passages, outcome: .success, toolCalls: [call]))
    }
}
