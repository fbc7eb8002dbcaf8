from forecasting.workloads.generator import FAMILIES as FAMILIES
from forecasting.workloads.generator import Workloads as Workloads
from forecasting.workloads.generator import generate as generate
